// What the page does by itself: send a chosen file with its progress.
window.trame.utils.teethseg = {
  choose() {
    document.getElementById("ts-file").click();
  },
  save(address) {
    if (!address) return;
    const link = document.createElement("a");
    link.href = address;
    link.download = ""; // without it the page would count as left
    link.click();
  },
  pixel(event) {
    // Where a click in a picture lies, in the picture's own pixels.
    const picture = event.target.ownerSVGElement || event.target;
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
    return [at.x, at.y];
  },
  upload(event, address, tell) {
    const file = (event.dataTransfer || event.target).files[0];
    if (event.target.value) event.target.value = ""; // so that the same file can be chosen again
    if (!file) return;
    const request = new XMLHttpRequest();
    request.open("POST", `${address}?name=${encodeURIComponent(file.name)}`);
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) tell(Math.floor((100 * event.loaded) / event.total));
    };
    request.onloadend = () => tell(-1);
    tell(0);
    request.send(file);
  },
};
