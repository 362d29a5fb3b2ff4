// Small parts that the tabs share.

// A template of the page, filled into a place; gives a function that finds an element in it by its name.
export function fill(place, template) {
  place.append(document.querySelector(`#${template}`).content.cloneNode(true));
  return (name) => place.querySelector(`[data-name=${name}]`);
}

// The choice of a model, shown if there are several. Gives a function that returns the chosen one.
export function modelChoice(field, models, changed = () => {}) {
  const select = field.querySelector("select");
  select.append(...models.map(({ name }) => new Option(name)));
  field.hidden = models.length < 2;
  select.addEventListener("change", changed);
  return () => models[select.selectedIndex];
}

// Offer a file on a link.
export function offer(link, blob, name) {
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.hidden = false;
}

// A picture from a file, a drop, the clipboard or the camera; `chosen` gets the file.
export function pictureInput(place, chosen) {
  const area = place.querySelector(".drop");
  for (const input of area.querySelectorAll("input")) {
    input.addEventListener("change", () => {
      if (input.files[0]) chosen(input.files[0]);
      input.value = "";
    });
  }
  const over = (on) => area.classList.toggle("over", on);
  area.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
  area.addEventListener("dragleave", () => over(false));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const [file] = event.dataTransfer.files;
    if (file) chosen(file);
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file && area.checkVisibility()) chosen(file);
  });
}

// Save a file, as a click on a link does.
export function save(blob, name) {
  const link = document.createElement("a");
  offer(link, blob, name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}

export const canvasBlob = (canvas) => new Promise((resolve) => canvas.toBlob(resolve, "image/png"));

// An image as a canvas of its size.
export function show(canvas, image) {
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export const stem = (name) => name.replace(/\.[^.]*$/, "") || "picture";
