// The tab that makes images.

import { ask } from "./client.js";
import { canvasBlob, fill, modelChoice, offer, show } from "./controls.js";
import { normals, randomSeed } from "./random.js";

export function open(place, models) {
  const $ = fill(place, "generate-template");
  const model = modelChoice($("model"), models, settle);
  $("seed").value = randomSeed();
  $("dice").addEventListener("click", () => (($("seed").value = randomSeed()), generate()));
  $("form").addEventListener("submit", (event) => (event.preventDefault(), generate()));
  settle();

  function settle() {
    const { classes } = model();
    $("classes").hidden = !classes.length;
    $("class").replaceChildren(new Option("All, in turn", ""), ...classes.map((name, i) => new Option(name, i)));
  }

  async function generate() {
    const chosen = model();
    const [seed, count] = [Number($("seed").value), Number($("count").value)];
    const latents = normals(seed, count * chosen.latents);
    const names = chosen.classes;
    const one = $("class").value;
    const labels = names.length ? Array.from({ length: count }, (_, i) => (one === "" ? i % names.length : Number(one))) : null;
    $("go").disabled = true;
    tell("The model is loading.");
    const begun = performance.now();
    try {
      const progress = ({ done, total }) => tell(`${done} of ${total} images are done.`);
      const images = await ask("generate", { model: chosen, latents, labels }, { tell: progress });
      present(images, labels?.map((label) => names[label]), chosen, seed);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      tell(`${count === 1 ? "1 image" : `${count} images`} in ${seconds} s.`);
      await grid(images, `${chosen.name}-seed${seed}.png`);
    } catch (error) {
      tell(error.message, true);
    }
    $("go").disabled = false;
  }

  function present(images, names, chosen, seed) {
    $("empty").hidden = true;
    const list = $("images");
    list.style.setProperty("--columns", Math.ceil(Math.sqrt(images.length)));
    list.replaceChildren(
      ...images.map((image, i) => {
        const canvas = document.createElement("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${names ? `${names[i]}, image` : "Image"} ${i + 1} of seed ${seed}`);
        canvas.title = names?.[i] ?? "";
        show(canvas, image);
        const item = document.createElement("li");
        item.append(canvas);
        return item;
      }),
    );
  }

  // One file of all images.
  async function grid(images, name) {
    const side = images[0].width;
    const columns = Math.ceil(Math.sqrt(images.length));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [columns * side, Math.ceil(images.length / columns) * side];
    const context = canvas.getContext("2d");
    images.forEach((image, i) => context.putImageData(image, (i % columns) * side, Math.floor(i / columns) * side));
    offer($("download"), await canvasBlob(canvas), name);
  }

  function tell(text, wrong = false) {
    $("note").textContent = text;
    $("note").classList.toggle("problem", wrong);
  }
}
