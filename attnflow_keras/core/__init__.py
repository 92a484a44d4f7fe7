"""What needs NumPy and nothing else: noise, palettes, tiles, files, ImageModel.

Graphs exported to ONNX run on these modules, so nothing here imports Keras.
"""
