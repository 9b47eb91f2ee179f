// Helpers of the page: choose, send and save files, and mouse positions in pictures.
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
  inside(event) {
    // Where the mouse is on a picture, in the picture's own pixels.
    const picture = event.currentTarget;
    const box = picture.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * picture.naturalWidth) / box.width,
      ((event.clientY - box.top) * picture.naturalHeight) / box.height,
    ];
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
