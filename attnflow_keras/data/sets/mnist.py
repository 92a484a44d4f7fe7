"""MNIST: handwritten digits."""

from attnflow_keras.data.labelled_images import LabelledImages


class MNIST(LabelledImages):
    """28x28 grey digits: 55,000 to train on, 5,000 to validate on, 10,000 to test on."""

    name = "mnist"
    license = "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0"
    sample = "mnist_test_256.npz"
    counts = (60_000, 10_000)
    shape = (28, 28)
    files = "mnist.npz"
