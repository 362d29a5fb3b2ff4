"""All text of the demo's page.

A pair is the message and the remedy of an error.
"""


def fill(texts: tuple[str, str], **values: object) -> tuple[str, str]:
    """The message and the remedy of an error, with the values in their places."""
    message, remedy = texts
    return message.format(**values), remedy.format(**values)


# -- the page

TITLE = "hubgan"
HEADLINE = "# hubgan"
TASKS = [
    "Generate images with {models}.",
    "Upscale pictures with {models}.",
    "Translate drawings and pictures with {models}.",
]
HARDWARE = {"cpu": "The demo runs on the CPU.", "cuda": "The demo runs on the GPU."}
OR = " or "
GENERATE_TAB, UPSCALE_TAB, TRANSLATE_TAB, ABOUT_TAB = "Generate", "Upscale", "Translate", "About"

# -- all tabs
MODEL = "Model"
LOADING = "The model is loading."
UNUSABLE = "**This tab cannot be used now.** {reason}"
UNUSABLE_MODEL = "**{model} cannot be used now. Choose another model.** {reason}"
UNKNOWN_MODEL = "There is no model {model}", "Choose one of: {models}"
SAME_LABEL = (
    "{first} and {second} have the same name, {label}",
    "Rename one of them, or name others in HUBGAN_GENERATORS, HUBGAN_UPSCALERS or HUBGAN_TRANSLATORS",
)
NO_MODEL = (
    "The demo has no model",
    "Set HUBGAN_GENERATORS, HUBGAN_UPSCALERS or HUBGAN_TRANSLATORS to at least one model",
)
BAD_LIMIT, LIMIT, LIMIT_MOST = (
    "{variable} is {text}",
    "Give a number above 0, or inf for no limit",
    "Give a number above 0 and at most {most:g}",
)

# -- generate
IMAGES = "Images"
CLASSES = "Classes"
CLASSES_INFO = "The images cycle through these classes. If you select none, the seed draws them."
SEED, SEED_INFO = "Seed", "The same seed gives the same images."
RANDOM_SEED = "New random seed every time"
VARIETY, VARIETY_INFO = "Variety", "Truncation of the latents: lower values give more typical, less varied images."
GENERATE = "Generate"
PICK = "Select an image to view it large, vary it or upscale it."
PICK_ALONE = "Select an image to view it large or vary it."
PICKED = "Selected: {caption}."
SIMILAR, SEND, BACK = "More like this", "Upscale this", "Back"
DIFFERENCE, DIFFERENCE_INFO = "Difference", "Of the images like the selected one. 0.1: nearly the same. 1: unrelated."
INDEX, LINK = "Index", "Link"
CAPTION, CAPTION_CLASS = "Image {index} of seed {seed}", "{name}, image {index} of seed {seed}"
CAPTION_SIMILAR = "{original}, variation {number}"
DOWNLOAD_ALL, DOWNLOAD_GRID = "Download all (ZIP)", "Download grid (PNG)"
NOT_PICKED = "No image is selected", "Select an image first"
NO_IMAGE = "There is no image {index}", "Choose one of the {images}, numbered from 0"
SEED_RANGE = "The seed must be a whole number from 0 to {maximum}"
COUNT_RANGE = "The number of images must be a whole number from 1 to {maximum}"
VARIETY_RANGE = "Variety must be between {minimum:g} and {maximum:g}"
DIFFERENCE_RANGE = "The difference must be between 0 and 1"
BAD_LINK = "This link cannot be opened: {reason} The page shows other images."
BAD_NUMBER = "The link has text in place of a number"

# -- a walk
WALK = "Latent walk between two seeds"
WALK_FROM, WALK_TO, WALK_SECONDS, WALK_CLASS = "From seed", "To seed", "Seconds", "Class"
WALK_BUTTON, WALK_DOWNLOAD = "Make the walk", "Download the walk (GIF)"
WALK_RESULT = "The walk to the second seed and back"
WALK_SECONDS_RANGE = "A walk must take from {minimum:g} to {maximum:g} seconds"
WALKING = "Generating frames"

# -- an edit
EDIT = "Edit an image"
EDIT_HINT = "Select an image above, then move a slider. Or upload your own picture."
EDITED = "The sliders change this image: {caption}."
DIRECTION = "Direction {number}"
DIRECTION_FIELD, AMOUNT = "Direction", "Amount"
AMOUNT_RANGE = "The amount must be between -{maximum:g} and {maximum:g}"
EDIT_CLASS, EDIT_SHARE = "Mix in a class", "Share of that class"
EDIT_RESET, EDIT_RESULT, EDIT_DOWNLOAD = "Undo all changes", "The edited image", "Download the edited image (PNG)"
OWN_PICTURE, FINDING = "Edit your own picture", "Searching"
FOUND = "The model shows {name} like this, at {psnr:.1f} dB. The sliders change it."
NO_SUBJECT = "No image is selected", "Select an image, or upload your own picture"

# -- upscale
PICTURE = "Picture"
AUTOMATIC, AUTOMATIC_INFO = "Automatic strength", "The model estimates the noise and the compression artifacts."
STRENGTH, STRENGTH_INFO = "Strength", "How strongly noise and compression artifacts are removed."
FIDELITY, FIDELITY_INFO = "Fidelity", "0: most detail, some of it invented. 1: smoother, closest to the original."
SCALE, SCALE_INFO = "Scale", "Below the maximum, the result is downsampled."
UPSCALE, RESTORE, STOP = "Upscale {scale:g}x", "Restore", "Stop"
FORMAT = "Output format"
FORMATS = {"same": "Same as the picture, else PNG", "png": "PNG", "jpg": "JPEG", "webp": "WebP"}
HINT = "A picture may have up to {megapixels:.3g} megapixels. Transparency and colour profile are kept."
EXAMPLES = "Examples"
EMPTY = "The result appears here, beside bicubic interpolation."
COMPARE = "Drag the line to compare. Scroll or pinch to zoom."
COMPARISON, NOTE = "Before and after", "Sizes and time"
BEFORE, AFTER = "Before: bicubic", "After: the model"
DOWNLOAD, DOWNLOAD_AS = "Download", "Download ({kind})"
NO_FILE = "There is no {what}", "Upload a {what} first"
NOT_UPLOADED = "The {what} was not uploaded", "Upload it first"
THE_FILE = "The {what}"
A_PICTURE, A_VIDEO = "picture", "video"  # in these three
UNREADABLE = "{name} cannot be read", "Check that the file is complete"
FIDELITY_RANGE = "Fidelity must be between 0 and 1"
STRENGTH_RANGE = "Strength must be between 0 and 1"
NO_STRENGTH = "{model} has no strength setting", "Leave strength out"
NO_FORMAT = "There is no format {format}", "Choose one of: {formats}"
SCALE_RANGE = "The scale must be 1 or more"
ENLARGED = "{before} → **{after}** pixels by {model} in {seconds:.1f} s. Left: bicubic. Right: the model. " + COMPARE
SIZE = "{width} x {height}"
FRAMES = "All {count} frames were upscaled."
FIRST_FRAME = "**Only the first of {count:,} frames was upscaled.** All frames together have too many pixels."
FIRST_PAGE = "**Only the first of {count:,} pages was upscaled.** The command `hubgan upscale` upscales all pages."
TOO_MANY_PAGES = "{name} has more than {most:,} pages", "Send a file of fewer pages"
DAMAGED = "Damaged parts of the file were skipped: {parts}."
AS_PNG = "The result is a PNG file: {reason}."
NOT_WRITTEN = "The result cannot be written as {kind}", "Choose the format PNG"
ENLARGING, SAVING = "Upscaling", "Saving"
STOPPED = "Stopped."
TOO_LONG = "The work took more than {minutes:g} minutes and was stopped", "Choose a smaller picture or a shorter video"
PART = "Part to upscale"
PARTS = ["middle", "top left", "top", "top right", "left", "right", "bottom left", "bottom", "bottom right"]
NO_PART = "There is no part {part}", "Choose one of: {parts}"
TOO_LARGE = "{name} has {width} x {height} pixels; this demo takes up to {megapixels:.3g} megapixels"
SHRINK, SHRINK_OR_CROP = "Shrink it first", "Shrink it first, or upscale a part of it"
OFFER_PART = (
    "**The picture has {width} x {height} pixels. This demo takes up to {megapixels:.3g} megapixels.**"
    " Choose the part to upscale, {part_width} x {part_height} pixels, or shrink the picture first."
)

# -- several pictures
BATCH = "Several pictures"
FILES, BATCH_BUTTON, BATCH_DOWNLOAD = "Pictures", "Upscale all", "Download the pictures (ZIP)"
BATCH_HINT = "The model and the settings of this tab apply. "
BATCH_COUNT, BATCH_TOTAL = (
    "The limit is {pictures} at once. ",
    "They may have {megapixels:.3g} megapixels in total. ",
)
TOO_MANY = "There are {count} pictures; this demo takes up to {maximum:g} at once", "Choose fewer pictures"
TOO_LARGE_TOGETHER = "The pictures have more than {megapixels:.3g} megapixels in total", "Choose fewer pictures"
BATCH_DONE = "{count} upscaled in {seconds:.1f} s."
BATCH_REMARK = "**{name}**: {remark}"
ALL_FAILED = "No picture could be upscaled. {reasons}"

# -- a video
CLIP = "A video"
CLIP_FILE, CLIP_BUTTON = "Video", "Upscale the video"
CLIP_RESULT, CLIP_DOWNLOAD = "The upscaled video", "Download the video (MP4)"
CLIP_HINT = "The model and the settings of this tab apply. The sound is kept. "
CLIP_TOTAL = "All frames together may have {megapixels:.3g} megapixels, such as {seconds:.0f} seconds of 640 x 360. "
CLIP_NEEDS_AV = "Videos need the package av. Run `pip install 'hubgan[video]'` and restart the demo."
CLIP_TOO_LONG = (
    "{name} has more than {megapixels:.3g} megapixels in all its frames of {width} x {height} pixels",
    "Cut it to {seconds:.1f} seconds, or shrink it first",
)
CLIP_DONE = "{frames}, {before} → **{after}** pixels by {model} in {seconds:.1f} s."

# -- translate
SOURCE, SOURCES = "Input", ["Draw", "Upload"]
BOARD, DRAW, ERASE, UNDO, CLEAR = "Drawing board", "Brush", "Eraser", "Undo", "Clear"
ERASER, RESET = "Picture to erase", "Reset"
SKETCHES = "Example sketches"
PREPARE = "It is a photo: sketch it first"
TRANSLATION, GIVEN = "The translated picture", "Before: the picture"
TRANSLATED = "{size} pixels by {model} in {seconds:.2f} s."
TRANSLATED_FRAME = "**Only the first of {count:,} frames was translated.**"
TRANSLATED_PAGE = "**Only the first of {count:,} pages was translated.**"
ANOTHER, TYPICAL = "Another", "Typical"
TRANSLATION_SEED_INFO = "Each seed gives another possible result. Empty: the most typical one."
SIDE = "Longer side in pixels"
TRANSLATION_HINTS = {
    "": "Upload a picture like those of the training, or draw something. The result appears here.",
    "edges": "Draw something. The result follows each stroke.",
    "grey": "Upload a picture. The model colours it, and keeps its brightness.",
    "mask": "Upload a picture, and erase a part of it. The model fills that part, and keeps the rest.",
    "small": "Upload a small picture. The model draws it with more detail.",
}
NO_DRAWING = "The board holds no drawing", "Clear the board and draw again"
BAD_TRANSLATION_LINK = "This link cannot be opened: {reason}"

# -- about
CARDS = "The model cards: what each model does, its training data and its measured results."
SAMPLES = "Samples of {model}"
NO_CARD = "This model has no card."
