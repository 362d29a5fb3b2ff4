"""`datasets` in, batches of uint8 images out.

The order of the images and their augmentation are functions of the seed and of the place: the number of training
images drawn so far by all processes together. So a run goes on from any place as if it had never stopped.

`source.py` opens a data set, `decoding.py` makes pictures of its cells, `transforms.py` says what training sees of a
picture, `order.py` which image comes when. `decoded.py` keeps images decoded, in the file of `pixels.py`;
`streamed.py` reads them one after another. `loader.py` makes batches of both.
"""

from hubgan.data.decoded import DecodedImages
from hubgan.data.loader import batches
from hubgan.data.order import EndlessSampler, RawBatch
from hubgan.data.source import ImageSource, load_images
from hubgan.data.streamed import StreamedImages
from hubgan.data.transforms import Crops, Squares, Transform
from hubgan.runtime.seeding import uniforms

__all__ = [
    "Crops",
    "DecodedImages",
    "EndlessSampler",
    "ImageSource",
    "RawBatch",
    "Squares",
    "StreamedImages",
    "Transform",
    "batches",
    "load_images",
    "uniforms",
]
