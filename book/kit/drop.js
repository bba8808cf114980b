// A place to choose a file, or to drop one on; the kernel gets its name and its bytes.
export default {
  render({ model, el }) {
    const field = document.createElement("label");
    field.style.cssText =
      "display:block;padding:.8rem;border:2px dashed #808080;border-radius:.4rem;cursor:pointer";
    const words = document.createElement("span");
    words.textContent = "Choose a picture or a DICOM file, or drop it here: ";
    const input = document.createElement("input");
    input.type = "file";
    input.accept = "image/*,.dcm,.dicom,.ima";
    field.append(words, input);
    el.append(field);

    async function take(file) {
      if (!file) return;
      model.set("data", new DataView(await file.arrayBuffer()));
      model.set("name", file.name);
      model.set("count", model.get("count") + 1);
      model.save_changes();
    }
    input.addEventListener("change", () => take(input.files[0]));
    field.addEventListener("dragover", (event) => {
      event.preventDefault();
      field.style.borderColor = "#0072b2";
    });
    field.addEventListener("dragleave", () => (field.style.borderColor = "#808080"));
    field.addEventListener("drop", (event) => {
      event.preventDefault();
      field.style.borderColor = "#808080";
      take(event.dataTransfer.files[0]);
    });
  },
};
