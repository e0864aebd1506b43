"""Wrong answers to the exercises of the training lab, written as a student would write them."""

import math

import torch

from companion.exercises.mutants.filing import Mutants, file_learned_by_heart, filing
from companion.exercises.training import EXERCISES

MUTANTS: Mutants = {}
wrong = filing(MUTANTS)


# --- momentum_step ---


@wrong("momentum_step", "uphill", "goes uphill")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + gradient
    return weight + lr * velocity, velocity


@wrong("momentum_step", "plain step", "the velocity is kept for nothing")
def _(weight, gradient, velocity, lr, beta):
    return weight - lr * gradient, beta * velocity + gradient


@wrong("momentum_step", "moves first", "moves by the old velocity")
def _(weight, gradient, velocity, lr, beta):
    weight = weight - lr * velocity
    return weight, beta * velocity + gradient


@wrong("momentum_step", "Nesterov", "which is Nesterov's")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + gradient
    return weight - lr * (gradient + beta * velocity), velocity


@wrong("momentum_step", "memory not renewed", "you return the velocity that you were given")
def _(weight, gradient, velocity, lr, beta):
    return weight - lr * (beta * velocity + gradient), velocity


@wrong("momentum_step", "moving average", "the gradient counts only in part")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + (1 - beta) * gradient
    return weight - lr * velocity, velocity


@wrong("momentum_step", "moving average, beta swapped", "says how much of the gradient is taken")
def _(weight, gradient, velocity, lr, beta):
    velocity = (1 - beta) * velocity + beta * gradient
    return weight - lr * velocity, velocity


@wrong("momentum_step", "no beta", "`beta` is not used")
def _(weight, gradient, velocity, lr, beta):
    velocity = velocity + gradient
    return weight - lr * velocity, velocity


@wrong("momentum_step", "no rate", "`lr` is not used")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + gradient
    return weight - velocity, velocity


@wrong("momentum_step", "rate inside", "the learning rate is inside the velocity")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + lr * gradient
    return weight - velocity, velocity


@wrong("momentum_step", "in place", "changed its argument `velocity` in place")
def _(weight, gradient, velocity, lr, beta):
    velocity.mul_(beta).add_(gradient)
    return weight - lr * velocity, velocity


@wrong("momentum_step", "weight only", "expected the 2 values")
def _(weight, gradient, velocity, lr, beta):
    return weight - lr * (beta * velocity + gradient)


@wrong("momentum_step", "rate of its own")
def _(weight, gradient, velocity, lr, beta):
    velocity = beta * velocity + gradient
    return weight - 0.01 * velocity, velocity


# --- clip_gradients ---


def _norm(gradients):
    return math.sqrt(sum(g.pow(2).sum().item() for g in gradients))


@wrong("clip_gradients", "as they are", "nothing is shortened")
def _(gradients, max_norm):
    return list(gradients)


@wrong("clip_gradients", "each by itself", "each tensor is shortened by itself")
def _(gradients, max_norm):
    return [g * min(1.0, max_norm / max(g.norm().item(), 1e-12)) for g in gradients]


@wrong("clip_gradients", "clamped", "each entry is cut off by itself")
def _(gradients, max_norm):
    return [torch.clamp(g, -max_norm, max_norm) for g in gradients]


@wrong("clip_gradients", "always of this length", "gradients that are short enough are stretched")
def _(gradients, max_norm):
    return [g * max_norm / _norm(gradients) for g in gradients]


@wrong("clip_gradients", "upside down", "the gradients become longer")
def _(gradients, max_norm):
    norm = _norm(gradients)
    return [g * norm / max_norm if norm > max_norm else g for g in gradients]


@wrong("clip_gradients", "length one", "decides when to clip")
def _(gradients, max_norm):
    norm = _norm(gradients)
    return [g / norm if norm > max_norm else g for g in gradients]


@wrong("clip_gradients", "no root", "the root of the sum of squares is missing")
def _(gradients, max_norm):
    norm = sum((g**2).sum().item() for g in gradients)
    return [g * min(1.0, max_norm / norm) for g in gradients]


@wrong("clip_gradients", "sum of norms", "the lengths of the tensors are added")
def _(gradients, max_norm):
    norm = sum(g.norm().item() for g in gradients)
    return [g * min(1.0, max_norm / norm) for g in gradients]


@wrong("clip_gradients", "absolute values", "absolute values are added")
def _(gradients, max_norm):
    norm = sum(g.abs().sum().item() for g in gradients)
    return [g * min(1.0, max_norm / norm) for g in gradients]


@wrong("clip_gradients", "largest entry", "the largest entry is taken for the length")
def _(gradients, max_norm):
    norm = max(g.abs().max().item() for g in gradients)
    return [g * min(1.0, max_norm / norm) for g in gradients]


@wrong("clip_gradients", "root mean square", "the squares are averaged")
def _(gradients, max_norm):
    norm = torch.cat([g.flatten() for g in gradients]).square().mean().sqrt().item()
    return [g * min(1.0, max_norm / norm) for g in gradients]


@wrong("clip_gradients", "division by zero", "ZeroDivisionError")
def _(gradients, max_norm):
    return [g * min(1.0, max_norm / _norm(gradients)) for g in gradients]


@wrong("clip_gradients", "in place", "changed its argument `gradients` in place")
def _(gradients, max_norm):
    factor = min(1.0, max_norm / max(_norm(gradients), 1e-12))
    for g in gradients:
        g *= factor
    return gradients


@wrong("clip_gradients", "left out when long")
def _(gradients, max_norm):
    return [torch.zeros_like(g) if _norm(gradients) > max_norm else g for g in gradients]


# --- learning_rate ---


def _cosine(progress):
    return 0.5 * (1 + math.cos(math.pi * progress))


@wrong("learning_rate", "from zero", "the first step has no learning rate")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * step / warmup
    return floor + (peak - floor) * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "peak too early", "the warm-up reaches the peak within itself")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "cosine alone", "there is no warm-up")
def _(step, steps, warmup, peak, floor):
    return floor + (peak - floor) * _cosine(max(step - warmup, 0) / (steps - warmup))


@wrong("learning_rate", "wave from the start", "the wave begins at step 0")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + (peak - floor) * _cosine(step / steps)


@wrong("learning_rate", "wave too long", "the wave is as long as the whole run")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + (peak - floor) * _cosine((step - warmup) / steps)


@wrong("learning_rate", "wave too short", "the wave ends a step early")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + (peak - floor) * _cosine((step - warmup) / (steps - warmup - 1))


@wrong("learning_rate", "line", "the way down is a line")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak - (peak - floor) * (step - warmup) / (steps - warmup)


@wrong("learning_rate", "bare cosine", "goes on below zero")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + (peak - floor) * math.cos(math.pi * (step - warmup) / (steps - warmup))


@wrong("learning_rate", "quarter", "a quarter of a wave")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + (peak - floor) * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup))


@wrong("learning_rate", "upwards", "the rate rises after the warm-up")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak - (peak - floor) * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "no floor", "runs down to 0")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return peak * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "floor on top", "the floor is added on top")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + peak * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "nothing to warm up", "a schedule may have no warm-up at all")
def _(step, steps, warmup, peak, floor):
    rise = peak * (step + 1) / warmup
    if step < warmup:
        return rise
    return floor + (peak - floor) * _cosine((step - warmup) / (steps - warmup))


@wrong("learning_rate", "a tensor", "take it out with .item()")
def _(step, steps, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    angle = torch.tensor(math.pi * (step - warmup) / (steps - warmup))
    return floor + (peak - floor) * (1 + torch.cos(angle)) / 2


@wrong("learning_rate", "constant after warm-up")
def _(step, steps, warmup, peak, floor):
    return peak * min(1.0, (step + 1) / (warmup + 1))


# --- combine_gradients ---


@wrong("combine_gradients", "mean of means", "the mean of the means")
def _(gradients, counts):
    return sum(g for g in gradients) / len(gradients)


@wrong("combine_gradients", "nanmean", "the mean of the means")
def _(gradients, counts):
    return gradients.nanmean(0)


@wrong("combine_gradients", "sum", "without regard to how many tokens")
def _(gradients, counts):
    return gradients.sum(0)


@wrong("combine_gradients", "not divided", "is not divided by their number")
def _(gradients, counts):
    return sum(g * c for g, c in zip(gradients, counts, strict=True) if c)


@wrong("combine_gradients", "divided by the parts", "you divide by the number of micro-batches")
def _(gradients, counts):
    return sum(g * c for g, c in zip(gradients, counts, strict=True) if c) / len(counts)


@wrong("combine_gradients", "divided by the largest", "you divide by the largest count")
def _(gradients, counts):
    return sum(g * c for g, c in zip(gradients, counts, strict=True) if c) / max(counts)


@wrong("combine_gradients", "divided by its own count", "it is a mean already")
def _(gradients, counts):
    return sum(g / c for g, c in zip(gradients, counts, strict=True) if c) / len(counts)


@wrong("combine_gradients", "overwritten", "the others are overwritten")
def _(gradients, counts):
    total = torch.zeros_like(gradients[0])
    for gradient, count in zip(gradients, counts, strict=True):
        if count:
            total = gradient * count / count
    return total


@wrong("combine_gradients", "NaN", "0 times NaN is NaN")
def _(gradients, counts):
    return sum(g * c for g, c in zip(gradients, counts, strict=True)) / sum(counts)


@wrong("combine_gradients", "in place", "changed its argument `gradients` in place")
def _(gradients, counts):
    for gradient, count in zip(gradients, counts, strict=True):
        gradient *= count
    return sum(g for g, c in zip(gradients, counts, strict=True) if c) / sum(counts)


@wrong("combine_gradients", "running mean")
def _(gradients, counts):
    total = gradients[0]
    for gradient in gradients[1:]:
        total = (total + gradient.nan_to_num()) / 2
    return total


# --- adamw_step ---


def _averages(gradient, mean, square, betas):
    mean = betas[0] * mean + (1 - betas[0]) * gradient
    return mean, betas[1] * square + (1 - betas[1]) * gradient**2


def _fair(mean, square, step, betas):
    return mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)


@wrong("adamw_step", "uphill", "goes uphill")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight * (1 - lr * weight_decay) + lr * m / (v.sqrt() + eps), mean, square


@wrong("adamw_step", "no correction", "neither average is corrected")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    return weight - lr * (mean / (square.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "first corrected only", "the average of the squares is not corrected")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, _ = _fair(mean, square, step, betas)
    return weight - lr * (m / (square.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "second corrected only", "the average of the gradients is not corrected")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    _, v = _fair(mean, square, step, betas)
    return weight - lr * (mean / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "a step too many", "one step too many")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step + 1, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "a step too few", "one step too few")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step - 1, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "betas swapped", "the two betas have changed places")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    betas = betas[::-1]
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "Adam with L2", "that is Adam with L2")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient + weight_decay * weight, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * m / (v.sqrt() + eps), mean, square


@wrong("adamw_step", "decay without rate", "is not multiplied by the learning rate")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight * (1 - weight_decay) - lr * m / (v.sqrt() + eps), mean, square


@wrong("adamw_step", "Adam", "the weights do not decay")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * m / (v.sqrt() + eps), mean, square


@wrong("adamw_step", "growth", "the weights grow where they should decay")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / (v.sqrt() + eps) - weight_decay * weight), mean, square


@wrong("adamw_step", "decay at the end", "shrinks the step too")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    weight = weight - lr * m / (v.sqrt() + eps)
    return weight - lr * weight_decay * weight, mean, square


@wrong("adamw_step", "no root", "the root is missing")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / (v + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "eps in the root", "eps is inside the root")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / torch.sqrt(v + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "no eps", "eps is not used")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / v.sqrt() + weight_decay * weight), mean, square


@wrong("adamw_step", "RMSprop", "in place of the average of all")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    _, v = _fair(mean, square, step, betas)
    return weight - lr * (gradient / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "not squared", "are not squared in the second average")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean = betas[0] * mean + (1 - betas[0]) * gradient
    square = betas[1] * square + (1 - betas[1]) * gradient.abs()
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "memory not renewed", "you return the averages that you were given")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    m, v = _fair(*_averages(gradient, mean, square, betas), step, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "corrected memory", "you return the corrected averages")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _fair(*_averages(gradient, mean, square, betas), step, betas)
    return weight - lr * (mean / (square.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "in place", "changed its argument `mean` in place")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean.lerp_(gradient, 1 - betas[0])
    square = torch.lerp(square, gradient**2, 1 - betas[1])
    m, v = _fair(mean, square, step, betas)
    return weight - lr * (m / (v.sqrt() + eps) + weight_decay * weight), mean, square


@wrong("adamw_step", "sign only")
def _(weight, gradient, mean, square, step, lr, betas, eps, weight_decay):
    mean, square = _averages(gradient, mean, square, betas)
    return weight * (1 - lr * weight_decay) - lr * mean.sign(), mean, square


# --- scaled_step ---


def _is_finite(gradient):
    return torch.isfinite(gradient).all().item()


@wrong("scaled_step", "uphill", "goes uphill")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master + lr * gradient.float() / scale, scale


@wrong("scaled_step", "not unscaled", "as large as the scaled loss's")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master - lr * gradient.float(), scale


@wrong("scaled_step", "scaled twice", "is scaled once more")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master - lr * gradient.float() * scale, scale


@wrong("scaled_step", "unscaled in 16 bits", "is unscaled in 16 bits")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master - lr * (gradient / scale).float(), scale


@wrong("scaled_step", "rounded master", "the master weights are rounded to 16 bits")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master.half().float() - lr * gradient.float() / scale, scale


@wrong("scaled_step", "all in 16 bits", "have gone through 16 bits")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return (master.half() - lr * (gradient / scale)).float(), scale


@wrong("scaled_step", "no look at the gradient", "an overflow is not noticed")
def _(master, gradient, scale, lr):
    return master - lr * gradient.float() / scale, scale


@wrong("scaled_step", "NaN only", "an overflow is not noticed")
def _(master, gradient, scale, lr):
    if gradient.isnan().any():
        return master, scale / 2
    return master - lr * gradient.float() / scale, scale


@wrong("scaled_step", "infinite only", "an overflow is not noticed")
def _(master, gradient, scale, lr):
    if gradient.isinf().any():
        return master, scale / 2
    return master - lr * gradient.float() / scale, scale


@wrong("scaled_step", "holes filled", "only the entries that overflowed are left out")
def _(master, gradient, scale, lr):
    new = scale if _is_finite(gradient) else scale / 2
    clean = torch.nan_to_num(gradient.float(), nan=0.0, posinf=0.0, neginf=0.0)
    return master - lr * clean / scale, new


@wrong("scaled_step", "scale kept", "the scale stays as it is")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale
    return master - lr * gradient.float() / scale, scale


@wrong("scaled_step", "scale doubled", "after an overflow the scale grows")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale * 2
    return master - lr * gradient.float() / scale, scale


@wrong("scaled_step", "always halved", "the scale falls though nothing has overflowed")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master - lr * gradient.float() / scale, scale / 2


@wrong("scaled_step", "always doubled", "the scale grows at every step")
def _(master, gradient, scale, lr):
    if not _is_finite(gradient):
        return master, scale / 2
    return master - lr * gradient.float() / scale, scale * 2


@wrong("scaled_step", "16 bits returned", "dtype float16, expected float32")
def _(master, gradient, scale, lr):
    return (master - lr * gradient.float() / scale).half(), scale


@wrong("scaled_step", "no step at all")
def _(master, gradient, scale, lr):
    return master, scale


# --- pack_documents ---


def _flat(documents, length):
    tokens = torch.tensor([token for document in documents for token in document])
    owners = torch.tensor([i for i, document in enumerate(documents) for _ in document])
    n = len(tokens) // length * length
    return tokens[:n].view(-1, length), owners[:n].view(-1, length)


def _labels(ids, owners):
    labels = torch.full_like(ids, -100)
    labels[:, :-1] = torch.where(owners[:, 1:] == owners[:, :-1], ids[:, 1:], -100)
    return labels


@wrong("pack_documents", "one row each", "each document has a row of its own")
def _(documents, length):
    ids = torch.zeros(len(documents), length, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, document in enumerate(documents):
        cut = torch.tensor(document[:length])
        ids[row, : len(cut)] = cut
        labels[row, : len(cut) - 1] = cut[1:]
    return ids, torch.arange(len(documents))[:, None].repeat(1, length), labels


@wrong("pack_documents", "padded end", "the last row is filled up")
def _(documents, length):
    tokens = [token for document in documents for token in document]
    owners = [i for i, document in enumerate(documents) for _ in document]
    while len(tokens) % length:
        tokens.append(0)
        owners.append(len(documents))
    ids, owners = torch.tensor(tokens).view(-1, length), torch.tensor(owners).view(-1, length)
    return ids, owners, _labels(ids, owners)


@wrong("pack_documents", "across documents", "predicts the first of the next")
def _(documents, length):
    ids, owners = _flat(documents, length)
    labels = torch.full_like(ids, -100)
    labels[:, :-1] = ids[:, 1:]
    return ids, owners, labels


@wrong("pack_documents", "not shifted", "the labels are the tokens themselves")
def _(documents, length):
    ids, owners = _flat(documents, length)
    return ids, owners, ids.clone()


@wrong("pack_documents", "shifted the wrong way", "the labels are the tokens before")
def _(documents, length):
    ids, owners = _flat(documents, length)
    labels = torch.full_like(ids, -100)
    labels[:, 1:] = torch.where(owners[:, 1:] == owners[:, :-1], ids[:, :-1], -100)
    return ids, owners, labels


@wrong("pack_documents", "first tokens hidden", "the first token of each document has no label")
def _(documents, length):
    ids, owners = _flat(documents, length)
    labels = torch.full_like(ids, -100)
    labels[:, :-1] = ids[:, 1:]
    starts = owners[:, 1:] != owners[:, :-1]
    labels[:, 1:][starts] = -100
    return ids, owners, labels


@wrong("pack_documents", "across rows", "predicts what stands in the next row")
def _(documents, length):
    ids, owners = _flat(documents, length)
    return ids, owners, _labels(ids.view(1, -1), owners.view(1, -1)).view(-1, length)


@wrong("pack_documents", "zeros", "positions without a label hold 0")
def _(documents, length):
    ids, owners = _flat(documents, length)
    labels = torch.zeros_like(ids)
    labels[:, :-1] = ids[:, 1:] * (owners[:, 1:] == owners[:, :-1])
    return ids, owners, labels


@wrong("pack_documents", "from one", "the documents are counted from 1")
def _(documents, length):
    ids, owners = _flat(documents, length)
    return ids, owners + 1, _labels(ids, owners)


@wrong("pack_documents", "anew in each row", "the documents are counted anew")
def _(documents, length):
    ids, owners = _flat(documents, length)
    return ids, owners - owners[:, :1], _labels(ids, owners)


@wrong("pack_documents", "positions", "you number the tokens inside their documents")
def _(documents, length):
    ids, owners = _flat(documents, length)
    places = torch.tensor([i for document in documents for i in range(len(document))])[: ids.numel()]
    return ids, places.view(-1, length), _labels(ids, owners)


@wrong("pack_documents", "whole documents only")
def _(documents, length):
    return (*_flat([document for document in documents if len(document) <= length], length), torch.zeros(1, 1).long())


@wrong("pack_documents", "lists", "expected a plain torch.Tensor")
def _(documents, length):
    ids, owners = _flat(documents, length)
    return ids.tolist(), owners.tolist(), _labels(ids, owners).tolist()


@wrong("pack_documents", "uneven stream", "RuntimeError")
def _(documents, length):
    ids = torch.tensor([token for document in documents for token in document]).view(-1, length)
    owners = torch.tensor([i for i, document in enumerate(documents) for _ in document]).view(-1, length)
    return ids, owners, _labels(ids, owners)


# --- continue_training ---


def _run(checkpoint, data, steps, lr, beta, generator, weight, velocity, step):
    for _ in range(steps):
        row = data[torch.randint(len(data), (), generator=generator)]
        velocity = beta * velocity + weight - row
        weight = weight - lr / (1 + step) * velocity
        step += 1
    return {"weight": weight, "velocity": velocity, "step": step, "generator": generator.get_state()}


def _restored(checkpoint):
    generator = torch.Generator()
    generator.set_state(checkpoint["generator"])
    return generator, checkpoint["weight"], checkpoint["velocity"], checkpoint["step"]


def _seeded(seed):
    def answer(checkpoint, data, steps, lr, beta):
        _, *rest = _restored(checkpoint)
        return _run(checkpoint, data, steps, lr, beta, torch.Generator().manual_seed(seed), *rest)

    return answer


for seed in (0, 1, 42):
    wrong("continue_training", f"seed {seed}", "starts from a seed")(_seeded(seed))


@wrong("continue_training", "global numbers")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, step = _restored(checkpoint)
    order = torch.rand(len(data), generator=torch.Generator().manual_seed(7)).argsort()
    return _run(checkpoint, data[order], steps, lr, beta, generator, weight, velocity, step)


@wrong("continue_training", "same row", "every step draws the same row")
def _(checkpoint, data, steps, lr, beta):
    state = checkpoint
    for _ in range(steps):
        state = _run(state, data, 1, lr, beta, *_restored(state)) | {"generator": checkpoint["generator"]}
    after, *_ = _restored(checkpoint)
    torch.randint(len(data), (), generator=after)
    return state | {"generator": after.get_state()}


@wrong("continue_training", "no velocity", "the velocity starts at zero")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, _, step = _restored(checkpoint)
    return _run(checkpoint, data, steps, lr, beta, generator, weight, torch.zeros_like(weight), step)


@wrong("continue_training", "from step 0", "counted from 0 again")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, _ = _restored(checkpoint)
    return _run(checkpoint, data, steps, lr, beta, generator, weight, velocity, 0)


@wrong("continue_training", "steps counted anew for the rate, not for the result")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, step = _restored(checkpoint)
    return _run(checkpoint, data, steps, lr, beta, generator, weight, velocity, 0) | {"step": step + steps}


@wrong("continue_training", "constant rate", "does not fall with the step")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, step = _restored(checkpoint)
    for _ in range(steps):
        velocity = beta * velocity + weight - data[torch.randint(len(data), (), generator=generator)]
        weight = weight - lr * velocity
    return {"weight": weight, "velocity": velocity, "step": step + steps, "generator": generator.get_state()}


@wrong("continue_training", "a step ahead", "is a step ahead")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, step = _restored(checkpoint)
    for _ in range(steps):
        step += 1
        velocity = beta * velocity + weight - data[torch.randint(len(data), (), generator=generator)]
        weight = weight - lr / (1 + step) * velocity
    return {"weight": weight, "velocity": velocity, "step": step, "generator": generator.get_state()}


@wrong("continue_training", "away", "go away from the rows")
def _(checkpoint, data, steps, lr, beta):
    generator, weight, velocity, step = _restored(checkpoint)
    for _ in range(steps):
        velocity = beta * velocity + data[torch.randint(len(data), (), generator=generator)] - weight
        weight = weight - lr / (1 + step) * velocity
        step += 1
    return {"weight": weight, "velocity": velocity, "step": step, "generator": generator.get_state()}


def _stale(name):
    def answer(checkpoint, data, steps, lr, beta):
        return _run(checkpoint, data, steps, lr, beta, *_restored(checkpoint)) | {name: checkpoint[name]}

    return answer


for name, phrase in {
    "step": "the step that you return is the one that you were given",
    "velocity": "the velocity that you return is the one that you were given",
    "generator": "the generator's state that you return is the one that you were given",
}.items():
    wrong("continue_training", f"old {name}", phrase)(_stale(name))


@wrong("continue_training", "this call's steps", "you count this call's steps alone")
def _(checkpoint, data, steps, lr, beta):
    return _run(checkpoint, data, steps, lr, beta, *_restored(checkpoint)) | {"step": steps}


@wrong("continue_training", "generator left out", "without the key 'generator'")
def _(checkpoint, data, steps, lr, beta):
    after = _run(checkpoint, data, steps, lr, beta, *_restored(checkpoint))
    del after["generator"]
    return after


@wrong("continue_training", "checkpoint overwritten", "changed its argument `checkpoint` in place")
def _(checkpoint, data, steps, lr, beta):
    checkpoint.update(_run(checkpoint, data, steps, lr, beta, *_restored(checkpoint)))
    return checkpoint


file_learned_by_heart(MUTANTS, EXERCISES)
