"""An HTTP server for exports: score, sample, restore and translate, without TensorFlow.

    pip install 'attnflow-keras[runtime,serve]'
    attnflow serve out/onnx --port 8000
    python -m attnflow_keras.serving out/onnx --port 8000     # the same

It needs FastAPI, uvicorn, Pillow and onnxruntime. :func:`attnflow_keras.serving.app.make_app` gives
the application, for other ASGI servers.
"""
