"""The data sets: each module defines one :class:`~attnflow_keras.data.dataset.DataSet` or more."""
