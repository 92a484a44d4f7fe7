// A classic script, which runs where modules don't: says in one line what this page lacks.
(function () {
  "use strict";
  // The smallest module with a SIMD instruction: one function that gives i8x16.splat(0).
  var simd = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11,
  ]);
  var problem = null;
  if (location.protocol === "file:") {
    problem = "Browsers can't load modules from files: serve this folder, for example with python -m http.server.";
  } else if (!("noModule" in document.createElement("script")) || typeof Worker === "undefined") {
    problem = "This browser is too old for this page: it has no JavaScript modules or workers.";
  } else if (typeof WebAssembly === "undefined" || !WebAssembly.validate(simd)) {
    problem = "This browser has no WebAssembly SIMD, which the model needs: use a newer browser.";
  }
  if (problem !== null) {
    document.documentElement.dataset.problem = problem;
    document.getElementById("status").textContent = "";
    var error = document.getElementById("error");
    error.textContent = problem;
    error.hidden = false;
  }
})();
