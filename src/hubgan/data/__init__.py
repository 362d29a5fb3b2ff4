"""`datasets` in, batches of uint8 images out.

The order of the images and their augmentation are functions of the seed and of the position: the number of training
images drawn so far by all processes together. So a run continues from any position as if it had never stopped.

`source.py` opens a data set, `pairs.py` a folder of pairs, and `domains.py` two domains that are no pairs.
`decoding.py` decodes the pictures, `transforms.py` turns a picture or a pair into a training image, and `order.py`
defines the order of the images. `decoded.py` keeps images decoded, in the file of `pixels.py`; `streamed.py` reads
them one after another. `loader.py` makes batches of either.
"""

from hubgan.data.decoded import DecodedImages
from hubgan.data.domains import UnpairedImages, load_domains
from hubgan.data.loader import batches
from hubgan.data.order import EndlessSampler, RawBatch
from hubgan.data.source import ImageSource, load_images
from hubgan.data.streamed import StreamedImages
from hubgan.data.transforms import Crops, PairedCrops, PairedSquares, Squares, Transform, UnpairedSquares
from hubgan.runtime.seeding import uniforms

__all__ = [
    "Crops",
    "DecodedImages",
    "EndlessSampler",
    "ImageSource",
    "PairedCrops",
    "PairedSquares",
    "RawBatch",
    "Squares",
    "StreamedImages",
    "Transform",
    "UnpairedImages",
    "UnpairedSquares",
    "batches",
    "load_domains",
    "load_images",
    "uniforms",
]
