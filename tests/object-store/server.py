"""A local S3-compatible server (moto) with a bucket `studies`; writes its settings as shell lines to FILE and serves.

    python server.py FILE          any credentials do
    python server.py FILE --auth   only those that it writes do
"""

import os
import sys
import time

from moto.server import ThreadedMotoServer


def main() -> None:
    settings, auth = sys.argv[1], "--auth" in sys.argv
    # boto3 must not look for settings of the user's own.
    os.environ.update(AWS_ACCESS_KEY_ID="first", AWS_SECRET_ACCESS_KEY="first", AWS_DEFAULT_REGION="us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"

    import boto3

    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="studies")
    key, secret = "test", "test"
    if auth:
        iam = boto3.client("iam", endpoint_url=endpoint)
        iam.create_user(UserName="pipeline")
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        iam.put_user_policy(UserName="pipeline", PolicyName="s3", PolicyDocument=policy)
        made = iam.create_access_key(UserName="pipeline")["AccessKey"]
        key, secret = made["AccessKeyId"], made["SecretAccessKey"]
        import moto.core.responses as responses
        from moto import settings as moto_settings

        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        responses.INITIAL_NO_AUTH_ACTION_COUNT = 0
        responses.ActionAuthenticatorMixin.request_count = 0
    lines = f"PORT={port}\nexport AWS_ENDPOINT={endpoint} AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}\n"
    with open(settings + ".part", "w") as out:
        out.write(lines)
    os.rename(settings + ".part", settings)
    while True:
        time.sleep(1)


main()
