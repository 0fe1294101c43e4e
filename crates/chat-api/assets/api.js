// The server's API. Nothing else is ever asked.

const CLIENT = crypto.getRandomValues(new Uint32Array(4)).join("-");
const TOKEN = "chat-token";

/** A refusal of the server. */
export class ApiProblem extends Error {
  constructor(status, detail) {
    super(detail?.message ?? `The server answered ${status}.`);
    this.status = status;
    this.code = detail?.code ?? "unknown";
  }
}

export function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return { "x-client-id": CLIENT, ...(token ? { authorization: `Bearer ${token}` } : {}), ...more };
}

export async function problemOf(response) {
  let detail;
  try { detail = (await response.json()).error; } catch { /* not in the API's form */ }
  return new ApiProblem(response.status, detail);
}

let asking = null;

/** Asks for the server's token, once for all who wait for it. */
export function askToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token-dialog");
    const field = document.getElementById("token");
    dialog.addEventListener("close", () => {
      if (field.value) sessionStorage.setItem(TOKEN, field.value);
      field.value = "";
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

/** A request; a refusal is thrown as ApiProblem. */
export async function call(path, options = {}) {
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: headers(options.headers) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiProblem(0, { code: "unreachable" });
    }
    if (response.ok) return response;
    if (response.status === 401 && attempt < 2) { await askToken(); continue; }
    throw await problemOf(response);
  }
}

export async function callJson(path, options) {
  return (await call(path, options)).json();
}

/** What `fetch` takes to send JSON. */
export function jsonPost(body, signal) {
  return { method: "POST", body: JSON.stringify(body), signal, headers: { "content-type": "application/json" } };
}

/**
 * A request about an open study; where the server does not have it any more (it expired, or lay on a server that ended),
 * it is opened again from where it came, and asked about once more. `path` makes the address of a study's number.
 */
export async function callStudy(study, path, optionsOf = () => undefined) {
  const { id } = study;
  try {
    return await call(path(id), optionsOf(id));
  } catch (error) {
    if (error.code !== "no_such_study" || !study.give) throw error;
  }
  // Another request may have opened it in the meantime; several wait for one.
  if (study.id === id) await (study.opening ??= openAgain(study));
  return call(path(study.id), optionsOf(study.id));
}

async function openAgain(study) {
  try {
    study.id = (await study.give()).id;
  } finally {
    study.opening = null;
  }
}

/** Uploads files without their names; told how far it is. */
export function upload(files, onProgress) {
  const form = new FormData();
  files.forEach((file, n) => form.append("file", file, `file-${n + 1}`));
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/studies");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new ApiProblem(0, { code: "unreachable" }));
    request.onload = async () => {
      if (request.status === 201) return resolve(request.response);
      if (request.status === 401) {
        await askToken();
        return upload(files, onProgress).then(resolve, reject);
      }
      return reject(new ApiProblem(request.status, request.response?.error));
    };
    request.send(form);
  });
}
