// The board to draw on.

const SIDE = 512; // pixels
const BRUSH = 10; // lines of 2.5 pixels for a network that works at 128
const ERASER = 40;
const STEPS = 30; // that can be undone

// Connect a board's canvas and buttons; `changed` is called after each stroke. Gives {canvas, draw}.
export function addBoard($, changed) {
  const canvas = $("board");
  [canvas.width, canvas.height] = [SIDE, SIDE];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const earlier = [];
  let erasing = false;
  let pointer = null;

  const wipe = () => {
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
  };
  const remember = () => {
    earlier.push(context.getImageData(0, 0, SIDE, SIDE));
    if (earlier.length > STEPS) earlier.shift();
    $("undo").disabled = false;
  };
  const choose = (eraser) => {
    erasing = eraser;
    $("brush").setAttribute("aria-pressed", !eraser);
    $("eraser").setAttribute("aria-pressed", eraser);
  };
  const undo = () => {
    if (!earlier.length) return;
    context.putImageData(earlier.pop(), 0, 0);
    $("undo").disabled = !earlier.length;
    changed();
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    remember();
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = erasing ? "white" : "black";
    context.lineWidth = erasing ? ERASER : BRUSH;
    context.beginPath();
    context.moveTo(...at(event));
    context.lineTo(...at(event)); // a dot
    context.stroke();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const each of passed.length ? passed : [event]) context.lineTo(...at(each));
    context.stroke();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      changed();
    });
  }
  $("brush").addEventListener("click", () => choose(false));
  $("eraser").addEventListener("click", () => choose(true));
  $("undo").addEventListener("click", undo);
  document.addEventListener("keydown", (event) => {
    const asked = event.key === "z" && (event.ctrlKey || event.metaKey) && canvas.checkVisibility();
    if (!asked || event.target.matches("input, select")) return;
    event.preventDefault();
    undo();
  });
  $("clear").addEventListener("click", () => {
    remember();
    wipe();
    choose(false);
    changed();
  });
  wipe();

  return {
    canvas,
    // Put a picture on the board, as large as it fits.
    draw(picture) {
      remember();
      wipe();
      const scale = SIDE / Math.max(picture.width, picture.height);
      const [width, height] = [picture.width * scale, picture.height * scale];
      context.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
      changed();
    },
  };
}
