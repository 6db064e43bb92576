"""Meta-learned sparse compression networks: the library. It computes; it opens no CSV, parses no flags, draws nothing.

Notation, once for every file:

    theta     what the outer loop learns: the field's parameters theta0, log_alpha (phi0), MetaSGD learning rates
    delta     what the inner loop learns for one signal (delta theta); gated, it is the signal's code
    phi       log_alpha, the gates' parameter;  z in [0, 1], a gate;  m, modulations;  n, budget: gates left open
    alpha     the inner learning rate (beta in the paper's eq. 2, where beta is also the gates' temperature)
    N, d, c   points of a signal, coordinates of a point, values of a point
    B, b      signals of a batch, of a chunk
    K         inner steps
    L, w      modulated layers, units of a layer

Data flow: array -> coords [N, d], targets [N, c] (`modalities`) -> code (`adapt` for one signal, `meta`
for many, gates from `gates`, counts from `budget`) -> values [N, c] (`siren`; of rays `rendering`) -> figures of
quality (`metrics`).
"""
