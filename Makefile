PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side in this many processes, each of which takes some 2 GB.
WORKERS ?= 2
# A second environment, with JAX and without TensorFlow.
JAX_VENV := .venv-jax
JAX_TESTS := $(addprefix tests/test_,backends.py layers.py verbs.py jacobi.py replicas.py \
	several_devices.py several_processes.py gans.py)

.PHONY: setup demo web-demo test test-slow test-all test-jax lint docs lock wheel gpu-pack clean

setup: $(VENV)/.ready

# The stamp is renewed when the lock file or the package's metadata changes.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] or 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/attnflow demo

# Three sites, for each task one; the exports take some minutes. To see one:
# python -m http.server -d demo-output/web/attnflow-imap-mnist
define site
	$(BIN)/attnflow export $(1) -o demo-output/web/onnx/$(1) --overwrite
	$(BIN)/attnflow web demo-output/web/onnx/$(1) -o demo-output/web/$(1) --title "$(2)" --overwrite
endef

web-demo: setup
	$(call site,attnflow-imap-mnist,Handwritten digits)
	$(call site,cattnflow-imap-sr8-bluemarble,Satellite images from 8x8)
	$(call site,cattnflow-imap-landcover-bluemarble,From land cover to satellite images)

PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --durations 40

# All but the slow tests, which are listed in tests/slow.txt.
test: setup
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

test-all: setup
	$(PYTEST)

$(JAX_VENV)/.ready: requirements-jax.lock
	$(PYTHON) -m venv $(JAX_VENV)
	$(JAX_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-jax.lock
	touch $@

setup-jax: $(JAX_VENV)/.ready

test-jax: setup-jax
	KERAS_BACKEND=jax $(JAX_VENV)/bin/python -m pytest $(JAX_TESTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python docs/build_api.py

# The package with all entries, to install without the clone: dist/*.whl.
wheel: setup
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --wheel-dir dist .

lock:
	uv pip compile --universal --python-version 3.11 --no-annotate --no-header \
		--extra tf --extra export --extra runtime --extra openvino --extra tensorboard \
		--extra serve --extra metrics --extra compress --extra dev pyproject.toml \
		-o requirements.lock
	echo pytest | uv pip compile --universal --python-version 3.11 --no-annotate --no-header \
		--extra jax -c requirements.lock pyproject.toml - -o requirements-jax.lock

# Wheels and data for a machine with an accelerator, JAX and no network, see benchmarks/gpu.
gpu-pack: setup
	$(BIN)/python -m benchmarks.gpu.pack

clean:
	rm -rf $(VENV) $(JAX_VENV) demo-output docs/api build dist *.egg-info
