"""Where botocore sends requests."""


def endpoints(model):
    raise NotImplementedError
