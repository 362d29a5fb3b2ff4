"""All text of the demo's page.

A pair is the message and the remedy of an error.
"""


def fill(texts: tuple[str, str], **values: object) -> tuple[str, str]:
    """The message and the remedy of an error, with the values in their places."""
    message, remedy = texts
    return message.format(**values), remedy.format(**values)


# -- the page

TITLE = "hubgan"
HEADLINE = "# hubgan\nGenerate images with {generators}. Upscale pictures with {upscalers}. {hardware}"
HARDWARE = {"cpu": "The demo runs on the CPU.", "cuda": "The demo runs on the GPU."}
OR = " or "
GENERATE_TAB, UPSCALE_TAB, ABOUT_TAB = "Generate", "Upscale", "About"

# -- both tabs
MODEL = "Model"
LOADING = "The model is loading."
UNUSABLE = "**This tab cannot be used now.** {reason}"
UNUSABLE_MODEL = "**{model} cannot be used now. Choose another model.** {reason}"
UNKNOWN_MODEL = "There is no model {model}", "Choose one of: {models}"
SAME_LABEL = (
    "{first} and {second} are both called {label}",
    "Rename one of them, or name others in HUBGAN_GENERATORS and HUBGAN_UPSCALERS",
)
NO_MODEL = "The demo has no model", "Name at least one in HUBGAN_GENERATORS and HUBGAN_UPSCALERS"
BAD_LIMIT, LIMIT, LIMIT_MOST = (
    "{variable} is {text}",
    "Give a number above 0, or inf for no limit",
    "Give a number above 0 and at most {most:g}",
)

# -- generate
IMAGES = "Images"
CLASSES = "Classes"
CLASSES_INFO = "The images take these classes in turn. If there are none, the seed draws them."
SEED, SEED_INFO = "Seed", "The same seed gives the same images."
RANDOM_SEED = "New random seed every time"
VARIETY, VARIETY_INFO = "Variety", "Lower: more typical images, more alike. 4: the model's full range."
GENERATE = "Generate"
PICK = "Click an image to enlarge it, then choose what to do with it:"
SIMILAR, DIFFERENCE = "More like this", "How different"
SEND = "Upscale this"
INDEX, LINK = "Index", "Link"
CAPTION, CAPTION_CLASS = "Image {index} of seed {seed}", "{name}, image {index} of seed {seed}"
CAPTION_SIMILAR = "{original}, variation {number}"
DOWNLOAD_ALL, DOWNLOAD_GRID = "Download all (ZIP)", "Download grid (PNG)"
NOT_PICKED = "No image is selected", "Click an image first"
NO_IMAGE = "There is no image {index}", "Choose one of the {count} images, numbered from 0"
SEED_RANGE = "The seed must be a whole number from 0 to {maximum}"
COUNT_RANGE = "The number of images must be a whole number from 1 to {maximum}"
VARIETY_RANGE = "Variety must be between {minimum:g} and {maximum:g}"
DIFFERENCE_RANGE = "The difference must be between 0 and 1"
BAD_LINK = "Here are other images, because this link cannot be opened: {reason}"
BAD_NUMBER = "The link has text in place of a number"

# -- a walk
WALK = "A walk between two seeds"
WALK_FROM, WALK_TO, WALK_SECONDS, WALK_CLASS = "From seed", "To seed", "Seconds", "Class"
WALK_BUTTON, WALK_RESULT, WALK_DOWNLOAD = "Walk", "The walk, there and back", "Download the walk (GIF)"
WALK_SECONDS_RANGE = "A walk must take from {minimum:g} to {maximum:g} seconds"
WALKING = "Walking"

# -- upscale
PICTURE = "Picture"
AUTOMATIC, AUTOMATIC_INFO = "Clean automatically", "As much as the picture wants: noise and traces of compression."
STRENGTH, STRENGTH_INFO = "Strength", "0: trust the pixels. 1: clean noise and traces of compression away."
FIDELITY, FIDELITY_INFO = "Fidelity", "0: most detail, some of it invented. 1: smoother, nearest to the original."
SCALE, SCALE_INFO = "Enlarge by", "Below the maximum, the model's result is shrunk."
UPSCALE, RESTORE, STOP = "Upscale {scale:g}x", "Restore", "Stop"
FORMAT = "Format of the result"
FORMATS = {"same": "As the picture, else PNG", "png": "PNG", "jpg": "JPEG", "webp": "WebP"}
HINT = "Pictures can have up to {megapixels:.3g} megapixels. Transparency and colour profile are kept."
EXAMPLES = "Examples"
EMPTY = "The result appears here. Drag the line to compare."
COMPARISON, NOTE = "Before and after", "Sizes and time"
BEFORE, AFTER = "Before: bicubic", "After: the model"
DOWNLOAD, DOWNLOAD_AS = "Download", "Download ({kind})"
NO_FILE = "There is no {what}", "Upload a {what} first"
NOT_UPLOADED = "The {what} was not uploaded", "Upload it first"
THE_FILE = "The {what}"
A_PICTURE, A_VIDEO = "picture", "video"  # in these three
UNREADABLE = "{name} cannot be read", "Check that it is whole"
FIDELITY_RANGE = "Fidelity must be between 0 and 1"
STRENGTH_RANGE = "Strength must be between 0 and 1"
NO_STRENGTH = "{model} has no strength", "Leave the strength out"
NO_FORMAT = "There is no format {format}", "Choose one of: {formats}"
SCALE_RANGE = "The scale must be 1 or more"
ENLARGED = "{before} → **{after}** pixels by {model} in {seconds:.1f} s. Left: bicubic. Right: the model."
SIZE = "{width} x {height}"
FRAMES = "All {count} frames were enlarged."
FIRST_FRAME = "**Only the first of {count:,} frames was enlarged**, because all of them have too many pixels."
FIRST_PAGE = "**Only the first of {count:,} pages was enlarged**; the command `hubgan upscale` enlarges all."
TOO_MANY_PAGES = "{name} has more than {most:,} pages", "Send a file of fewer pages"
AS_PNG = "The result is a PNG file: {reason}."
NOT_WRITTEN = "The result cannot be written as {kind}", "Choose the format PNG"
ENLARGING, SAVING = "Enlarging", "Saving"
STOPPED = "Stopped."
TOO_LONG = "The work took more than {minutes:g} minutes and was stopped", "Choose a smaller picture or a shorter video"
PART = "Part to enlarge"
PARTS = ["middle", "top left", "top", "top right", "left", "right", "bottom left", "bottom", "bottom right"]
NO_PART = "There is no part {part}", "Choose one of: {parts}"
TOO_LARGE = "{name} has {width} x {height} pixels, and this demo takes up to {megapixels:.3g} megapixels"
SHRINK, SHRINK_OR_CROP = "Shrink it first", "Shrink it first, or upscale a part of it"
OFFER_PART = (
    "**{width} x {height} pixels are too many: this demo takes up to {megapixels:.3g} megapixels.**"
    " Choose the part to enlarge, {part_width} x {part_height} pixels, or shrink the picture first."
)

# -- several pictures
BATCH = "Several pictures"
FILES, BATCH_BUTTON, BATCH_DOWNLOAD = "Pictures", "Upscale all", "Download the pictures (ZIP)"
BATCH_HINT = "The pictures use the model and the settings above. "
BATCH_COUNT, BATCH_TOTAL = "Up to {count:g} at once. ", "Up to {megapixels:.3g} megapixels in total. "
TOO_MANY = "There are {count} pictures, and this demo takes up to {maximum:g} at once", "Choose fewer"
TOO_LARGE_TOGETHER = "The pictures have more than {megapixels:.3g} megapixels in total", "Choose fewer or smaller ones"
BATCH_DONE = "{count} enlarged in {seconds:.1f} s."
BATCH_REMARK = "**{name}**: {remark}"
ALL_FAILED = "No picture could be enlarged. {reasons}"

# -- a video
CLIP = "A video"
CLIP_FILE, CLIP_BUTTON = "Video", "Upscale the video"
CLIP_RESULT, CLIP_DOWNLOAD = "The enlarged video", "Download the video (MP4)"
CLIP_HINT = "The video uses the model and the settings above. Its sound is kept. "
CLIP_TOTAL = "Up to {megapixels:.3g} megapixels in all frames together, such as {seconds:.0f} seconds of 640 x 360. "
CLIP_NEEDS_AV = "Videos need the package av. Run `pip install 'hubgan[video]'`, and start the demo again."
CLIP_TOO_LONG = (
    "{name} has more than {megapixels:.3g} megapixels in all its frames of {width} x {height} pixels",
    "Cut it to {seconds:.1f} seconds, or shrink it first",
)
CLIP_DONE = "{count:,} frames, {before} → **{after}** pixels by {model} in {seconds:.1f} s."

# -- about
CARDS = "What each model is, what it was trained on, and its measured results."
SAMPLES = "Examples of {model}"
NO_CARD = "This model has no card."
