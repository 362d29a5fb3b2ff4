// The tab that enlarges a picture.

import { ask } from "./client.js";
import { fill, modelChoice, offer, pictureInput, stem } from "./controls.js";

export function open(place, models) {
  const $ = fill(place, "upscale-template");
  let picture = null;
  let running = null;

  const model = modelChoice($("model"), models, settle);
  pictureInput(place, take);
  $("automatic").addEventListener("change", settle);
  $("strength").addEventListener("input", settle);
  $("go").addEventListener("click", () => (running ? running.abort() : enlarge()));
  addComparison($("comparison"), $("actual"));
  settle();

  function settle() {
    const { scale, strength, purpose } = model();
    $("purpose").textContent = purpose;
    $("strengths").hidden = !strength;
    $("by-hand").hidden = $("automatic").checked;
    $("strength-value").value = Number($("strength").value).toFixed(2);
    $("go").textContent = running ? "Stop" : scale > 1 ? `Enlarge ${scale}×` : "Restore";
    $("go").disabled = !picture;
  }

  function take(file) {
    running?.abort();
    picture = file;
    const image = $("chosen");
    if (image.src) URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
    $("file").textContent = file.name;
    tell("");
    settle();
  }

  async function enlarge() {
    const [file, chosen] = [picture, model()];
    running = new AbortController();
    const mine = running;
    settle();
    $("progress").hidden = false;
    $("progress").removeAttribute("value");
    tell("The model is loading.");
    const begun = performance.now();
    const progress = ({ done, total }) => {
      [$("progress").max, $("progress").value] = [total, done];
      tell(total > 1 ? `Enlarging: ${done} of ${total} parts are done.` : "Enlarging.");
    };
    const strength = $("automatic").checked ? "auto" : Number($("strength").value);
    try {
      const result = await ask("upscale", { model: chosen, picture: file, strength }, { tell: progress, signal: mine.signal });
      if (mine === running) result ? await present(result, file, chosen, (performance.now() - begun) / 1000) : tell("Stopped.");
    } catch (error) {
      if (mine === running) tell(error.message, true);
    }
    if (mine !== running) return;
    running = null;
    $("progress").hidden = true;
    settle();
  }

  async function present({ png, before, cut, small, large, strength }, file, chosen, seconds) {
    const size = ({ width, height }) => `${width} × ${height}`;
    const name = `${stem(file.name ?? "picture")}-${chosen.scale}x.png`;
    const [from, to] = [$("before"), $("after")];
    for (const image of [from, to]) if (image.src) URL.revokeObjectURL(image.src);
    from.src = URL.createObjectURL(before ?? file);
    to.src = URL.createObjectURL(png);
    await Promise.all([from.decode(), to.decode()]).catch(() => {});
    $("comparison").style.setProperty("--width", large.width);
    $("comparison").style.setProperty("--ratio", `${large.width} / ${large.height}`);
    $("empty").hidden = true;
    $("result").hidden = false;
    $("result").scrollIntoView({ block: "nearest", behavior: "smooth" });
    offer($("download"), png, name);
    const cleaned = strength === null ? "" : ` Strength ${strength.toFixed(2)}.`;
    const part = cut ? ` The picture has ${size(cut)} pixels, so only its middle was enlarged.` : "";
    tell(`${size(small)} became ${size(large)} pixels in ${seconds.toFixed(1)} s.${cleaned}${part}`);
  }

  function tell(text, wrong = false) {
    $("note").textContent = text;
    $("note").classList.toggle("problem", wrong);
  }
}

// Two pictures, one over the other, and the line between them.
function addComparison(comparison, actual) {
  const line = comparison.querySelector("input");
  const move = () => comparison.style.setProperty("--at", `${line.value}%`);
  line.addEventListener("input", move);
  const follow = (event) => {
    if (actual.checked) return; // dragging scrolls
    const box = comparison.getBoundingClientRect();
    line.value = ((event.clientX - box.left) / box.width) * 100;
    move();
  };
  comparison.addEventListener("pointerdown", (event) => {
    if (event.target === line || event.button) return;
    comparison.setPointerCapture(event.pointerId);
    follow(event);
  });
  comparison.addEventListener("pointermove", (event) => comparison.hasPointerCapture(event.pointerId) && follow(event));
  actual.addEventListener("change", () => {
    const frame = comparison.parentElement;
    frame.classList.toggle("actual", actual.checked);
    frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
  });
  move();
}
