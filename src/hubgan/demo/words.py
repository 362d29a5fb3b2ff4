"""What the demo says, in one place."""

TITLE = "hubgan"
HEADLINE = "# hubgan\nImages from {generators}, enlargements from {upscalers}{hardware}."
HARDWARE = {"cpu": ", running on the CPU", "cuda": ", running on the GPU"}
OR = " or "
GENERATE_TAB, UPSCALE_TAB, ABOUT_TAB = "Generate", "Upscale", "About"

# -- both tabs
MODEL = "Model"
LOADING = "The model is being loaded: a moment, please."
UNUSABLE = "**This tab cannot be used now.** {reason}"
UNUSABLE_MODEL = "**{model} cannot be used now: choose another model.** {reason}"

# -- generate
IMAGES = "Images"
CLASSES, CLASSES_INFO = "Classes", "Several are taken in turn; without one the seed draws them."
SEED, SEED_INFO = "Seed", "The same seed gives the same images."
RANDOM_SEED = "New random seed every time"
VARIETY, VARIETY_INFO = "Variety", "Less: more typical images, more alike. 4: all that the model can do."
GENERATE = "Generate"
PICK = "Click an image to enlarge it, then go on with it:"
SIMILAR, DIFFERENCE = "More like this", "How different"
SEND = "Upscale this"
INDEX = "Index"
CAPTION, CAPTION_CLASS = "Image {index} of seed {seed}", "{name}, image {index} of seed {seed}"
CAPTION_SIMILAR = "Like: {other}, number {number}"
DOWNLOAD_ALL, DOWNLOAD_GRID = "Download all (ZIP)", "Download grid (PNG)"
PICK_FIRST = "Click an image first."
NO_IMAGE = "There are {count} images here, numbered from 0; {picked} is none of them."
SEED_RANGE = "A seed is a whole number from 0 to {most}."
COUNT_RANGE = "A whole number from 1 to {most} says how many images."
VARIETY_RANGE = "Variety goes from {least:g} to {most:g}."
DIFFERENCE_RANGE = "The difference goes from 0 to 1."
BAD_LINK = "The images that the address asks for cannot be made, so here are others: {reason}"
BAD_NUMBER = "its numbers cannot be read."

# -- a walk
WALK = "A walk between two seeds"
WALK_FROM, WALK_TO, WALK_SECONDS, WALK_CLASS = "From seed", "To seed", "Seconds", "Class"
WALK_BUTTON, WALK_RESULT, WALK_DOWNLOAD = "Walk", "The walk, there and back", "Download the walk (GIF)"
WALK_SECONDS_RANGE = "A walk takes from {least:g} to {most:g} seconds."
WALKING = "Walking"

# -- upscale
PICTURE = "Picture"
FIDELITY, FIDELITY_INFO = "Fidelity", "0: most detail, some of it invented. 1: smoother, nearest to the original."
SCALE, SCALE_INFO = "Enlarge by", "Less than the model can do is shrunk from that."
UPSCALE, RESTORE, STOP = "Upscale {scale:g}x", "Restore", "Stop"
RESTORES = "This model takes blur, noise and compression away. "
TAKES = "This demo takes up to {megapixels:.3g} megapixels"
HINT = "{purpose}{takes} at once. Transparency and colour profile are kept."
SHRINK = "{takes}: shrink larger pictures first, or take a part."
EXAMPLES = "Examples"
EMPTY = "The result comes here: drag the line to compare."
COMPARISON, NOTE = "Before and after", "Sizes and time"
DOWNLOAD = "Download (PNG)"
UPLOAD_FIRST = "Upload a picture first."
UPLOADED_ONLY = "Only an uploaded picture can be enlarged."
FIDELITY_RANGE = "Fidelity goes from 0 to 1."
SCALE_RANGE = "Pictures are enlarged by 1 or more."
ENLARGED = "{before} → **{after}** pixels by {model} in {seconds:.1f} s. Left: bicubic, right: the model."
SIZE = "{width} x {height}"
ENLARGING = "Enlarging"
STOPPED = "Stopped."
TOO_LONG = "That took more than {minutes:g} minutes, so it was stopped: take a smaller picture."
THE_PICTURE = "The picture"
PART = "Part to enlarge"
PARTS = ["middle", "top left", "top", "top right", "left", "right", "bottom left", "bottom", "bottom right"]
TOO_LARGE = (
    "**{width} x {height} pixels are more than this demo takes at once** ({megapixels:.3g} megapixels)."
    " Choose the part to enlarge, {part_width} x {part_height} pixels, or shrink the picture first."
)
NO_PART = "There is no part {part}, but {parts}."

# -- several pictures
SEVERAL = "Several pictures"
FILES, SEVERAL_BUTTON, SEVERAL_DOWNLOAD = "Pictures", "Upscale all", "Download the pictures (ZIP)"
SEVERAL_HINT = "Up to {most} pictures of together {megapixels:.3g} megapixels, by the model and settings above."
TOO_MANY = "At most {most} pictures at once; these are {count}."
TOGETHER = "Together they have more than {megapixels:.3g} megapixels: take fewer, or smaller ones."
SEVERAL_DONE = "{count} enlarged in {seconds:.1f} s."
SEVERAL_FAILED = "**{name}**: {reason}"
NONE_WORKED = "None of them could be enlarged. {reason}"

# -- about
CARDS = "What the models are, what they were trained on, and what was measured."
SAMPLES = "What {model} makes"
NO_CARD = "This model has no card."
