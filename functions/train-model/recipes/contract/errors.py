"""The one error of the contract."""


class ContractError(Exception):
    """The program was started with something it cannot work with; the text says what to do.

    `main` of a recipe prints it on one line and ends with exit code 1.
    """
