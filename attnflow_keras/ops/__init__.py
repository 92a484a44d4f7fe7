"""Operations on tensors that ``keras.ops`` lacks, for every backend."""

import attnflow_keras._quiet_import  # noqa: F401
