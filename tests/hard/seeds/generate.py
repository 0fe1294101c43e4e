"""Makes the JPEG files that mutations start from (Pillow 13.0.0); run in this folder."""
from PIL import Image

gray = Image.new("L", (37, 29))
gray.putdata([(r * r + 3 * c) % 256 for r in range(29) for c in range(37)])
color = Image.merge("RGB", (gray, gray.rotate(90).resize((37, 29)), gray.transpose(Image.Transpose.FLIP_TOP_BOTTOM)))
gray.save("gray.jpg", quality=70)
gray.save("gray_progressive.jpg", quality=70, progressive=True)
gray.save("gray_restarts.jpg", quality=70, restart_marker_rows=1)
color.save("color_420.jpg", quality=70, subsampling=2)
color.save("color_444_progressive.jpg", quality=70, subsampling=0, progressive=True)
color.save("color_422.jpg", quality=70, subsampling=1, comment=b"a comment")
color.convert("CMYK").save("cmyk.jpg", quality=70)
