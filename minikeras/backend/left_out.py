"""What Keras 2.2.4's backend has and this one hasn't, with what to write instead."""

from __future__ import annotations

_CTC = "there are no recurrent layers and no CTC loss; PyTorch has torch.nn.CTCLoss"
_SESSION = "there is no session: functions compute at once, and K.function computes what was recorded"

LEFT_OUT = {
    "ctc_batch_cost": _CTC,
    "ctc_decode": _CTC,
    "ctc_label_dense_to_sparse": _CTC,
    "get_session": _SESSION,
    "rnn": "there are no recurrent layers; loop over x[:, t] in Python, or use K.foldl",
    "set_session": _SESSION,
    "tf": "operations that K doesn't have are in minikeras.ops",
}
