// The tab that translates drawings and pictures.

import { addBoard } from "./board.js";
import { ask } from "./client.js";
import { canvasBlob, fill, modelChoice, pictureInput, save, show } from "./controls.js";
import { normals, randomSeed } from "./random.js";

const DRAWN = ["", "edges"]; // inputs that can be drawn
const HINTS = {
  "": "Draw something, or open a picture like those of the training.",
  edges: "Draw something. The result follows each stroke.",
  grey: "Open a picture. The model colours it, and keeps its brightness.",
  small: "Open a small picture. The model draws it with more detail.",
};

export function open(place, models) {
  const $ = fill(place, "translate-template");
  let picture = null; // a file, where nothing is drawn
  let busy = false;
  let again = false;

  const model = modelChoice($("model"), models, settle);
  const board = addBoard($, update);
  pictureInput(place, take);
  $("seed").addEventListener("input", update);
  $("another").addEventListener("click", () => (($("seed").value = randomSeed()), update()));
  $("typical").addEventListener("click", () => (($("seed").value = ""), update()));
  $("download").addEventListener("click", async () => save(await canvasBlob($("made")), `${model().name}.png`));
  settle();

  function settle() {
    const { input, latents } = model();
    const drawn = DRAWN.includes(input);
    $("drawing").hidden = !drawn;
    place.querySelector(".drop").classList.toggle("small", drawn);
    $("chosen").hidden = drawn || !picture;
    $("hint").textContent = HINTS[input];
    $("seeds").hidden = !latents;
    update();
  }

  async function take(file) {
    try {
      if (DRAWN.includes(model().input)) return board.draw(await createImageBitmap(file));
    } catch {
      return tell("This browser cannot read the file as a picture.", true);
    }
    picture = file;
    if ($("chosen").src) URL.revokeObjectURL($("chosen").src);
    $("chosen").src = URL.createObjectURL(file);
    settle();
  }

  // Translate what there is now. While that takes place, only the last of several changes counts.
  async function update() {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await translate();
    }
    busy = false;
  }

  async function translate() {
    const chosen = model();
    const given = DRAWN.includes(chosen.input) ? (isBlank(board.canvas) ? null : await createImageBitmap(board.canvas)) : picture;
    if (!given) return present(null);
    const begun = performance.now();
    try {
      const result = await ask("translate", { model: chosen, picture: given, latents: latentsOf(chosen) });
      present(result);
      if (result) tell(`${result.width} × ${result.height} pixels in ${((performance.now() - begun) / 1000).toFixed(2)} s.`);
    } catch (error) {
      tell(error.message, true);
    }
  }

  function latentsOf({ latents, hint }) {
    if (!latents || $("seed").value === "") return null; // the most typical result
    const values = normals(Number($("seed").value), latents);
    if (hint) values[hint.at] = Math.abs(values[hint.at]) + hint.least;
    return values;
  }

  function present(image) {
    $("download").hidden = $("made").hidden = !image;
    $("empty").hidden = Boolean(image);
    if (image) show($("made"), image);
    else tell("");
  }

  function tell(text, wrong = false) {
    $("note").textContent = text;
    $("note").classList.toggle("problem", wrong);
  }
}

function isBlank(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.every((value) => value === 255);
}
