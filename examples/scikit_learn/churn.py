# fastscore.schema.0: customer
# fastscore.schema.1: double
"""How likely a customer leaves, by the pipeline that fit.py has fitted: it scales, then it is a logistic regression."""

import json
import math


def begin():
    global pipeline
    with open("pipeline.json") as file:  # of attachment.tar.gz
        pipeline = json.load(file)


def action(customer):
    features = customer["months"], customer["calls"]
    scaled = [(x - mean) / scale for x, mean, scale in zip(features, pipeline["mean"], pipeline["scale"])]
    z = pipeline["intercept"] + sum(c * x for c, x in zip(pipeline["coefficients"], scaled))
    yield round(1 / (1 + math.exp(-z)), 6)
