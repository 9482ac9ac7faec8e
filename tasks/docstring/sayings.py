"""Whole sentences of the rule-based writer, for names that mean the same everywhere."""

from collections.abc import Mapping
from types import MappingProxyType

DUNDER: Mapping[str, str] = MappingProxyType(
    {
        "__init__": "Initialize the {it}.",
        "__new__": "Create the {it}.",
        "__post_init__": "Complete the {it} after its fields are set.",
        "__del__": "Clean up before the {it} is destroyed.",
        "__repr__": "Return the representation for developers.",
        "__str__": "Return the text form.",
        "__bytes__": "Return the bytes form.",
        "__format__": "Format by a format specification.",
        "__hash__": "Return the hash.",
        "__bool__": "Tell the truth value.",
        "__len__": "Return the number of items.",
        "__length_hint__": "Return an estimate of the number of items.",
        "__eq__": "Compare for equality.",
        "__ne__": "Compare for inequality.",
        "__lt__": "Tell whether this sorts before the other.",
        "__le__": "Tell whether this sorts before the other or equals it.",
        "__gt__": "Tell whether this sorts after the other.",
        "__ge__": "Tell whether this sorts after the other or equals it.",
        "__call__": "Call the {it}.",
        "__iter__": "Iterate over the items.",
        "__aiter__": "Iterate over the items asynchronously.",
        "__next__": "Return the next item.",
        "__anext__": "Return the next item.",
        "__reversed__": "Iterate in reverse order.",
        "__contains__": "Tell whether an item is contained.",
        "__getitem__": "Return an item by its key.",
        "__setitem__": "Set an item by its key.",
        "__delitem__": "Delete an item by its key.",
        "__missing__": "Provide the value of a missing key.",
        "__getattr__": "Look up an attribute that is not found otherwise.",
        "__getattribute__": "Look up an attribute.",
        "__setattr__": "Set an attribute.",
        "__delattr__": "Delete an attribute.",
        "__dir__": "List the attributes.",
        "__get__": "Return the attribute's value for an instance.",
        "__set__": "Set the attribute's value for an instance.",
        "__delete__": "Delete the attribute of an instance.",
        "__set_name__": "Take note of the name that the attribute was given.",
        "__init_subclass__": "Prepare a new subclass.",
        "__class_getitem__": "Return the class for the given type arguments.",
        "__enter__": "Enter the context.",
        "__exit__": "Leave the context.",
        "__aenter__": "Enter the context.",
        "__aexit__": "Leave the context.",
        "__await__": "Wait for the result.",
        "__copy__": "Return a shallow copy.",
        "__deepcopy__": "Return a deep copy.",
        "__reduce__": "Return what pickle needs to rebuild the object.",
        "__reduce_ex__": "Return what pickle needs to rebuild the object.",
        "__getstate__": "Return the state to pickle.",
        "__setstate__": "Restore a pickled state.",
        "__getnewargs__": "Return the arguments that unpickling creates the object with.",
        "__sizeof__": "Return the size in bytes.",
        "__int__": "Convert to an integer.",
        "__float__": "Convert to a float.",
        "__complex__": "Convert to a complex number.",
        "__index__": "Convert to an integer index.",
        "__fspath__": "Return the file system path.",
        "__neg__": "Return the negative.",
        "__pos__": "Return the value with a positive sign.",
        "__abs__": "Return the absolute value.",
        "__invert__": "Return the inverse.",
        "__instancecheck__": "Tell whether an object counts as an instance.",
        "__subclasscheck__": "Tell whether a class counts as a subclass.",
        "__main__": "Run the program.",
    }
)
"""Summaries of special methods; ``{it}`` is what the class is called."""

OPERATORS: Mapping[str, str] = MappingProxyType(
    {
        "add": "sum",
        "sub": "difference",
        "mul": "product",
        "matmul": "matrix product",
        "truediv": "quotient",
        "floordiv": "rounded down quotient",
        "mod": "remainder",
        "divmod": "quotient and the remainder",
        "pow": "power",
        "and": "intersection",
        "or": "union",
        "xor": "symmetric difference",
        "lshift": "left shift",
        "rshift": "right shift",
    }
)
"""What a binary operator returns."""

WHOLE: Mapping[str, str] = MappingProxyType(
    {
        "main": "Run the program.",
        "run": "Run {it}.",
        "start": "Start {it}.",
        "stop": "Stop {it}.",
        "close": "Close {it}.",
        "setUp": "Prepare each test.",
        "tearDown": "Clean up after each test.",
        "wrapper": "Call the wrapped function.",
        "inner": "Call the wrapped function.",
        "decorator": "Wrap the given function.",
        "asdict": "Convert to a dictionary.",
    }
)
"""Summaries of names that are no phrase; ``{it}`` is what the class is called, or "it"."""

PARAMS: Mapping[str, str] = MappingProxyType(
    {
        "args": "Further positional arguments.",
        "kwargs": "Further keyword arguments.",
        "callback": "Called with the result.",
        "timeout": "How long to wait, in seconds.",
        "encoding": "The character encoding.",
        "other": "The object to compare or combine with.",
        "key": "The key.",
        "default": "What to use when there is no value.",
        "verbose": "Whether to report what is done.",
        "exc_type": "The class of the exception that ended the block, None if there was none.",
        "exc_val": "The exception that ended the block, None if there was none.",
        "exc_value": "The exception that ended the block, None if there was none.",
        "exc_tb": "The traceback of the exception, None if there was none.",
        "tb": "The traceback of the exception.",
        "traceback": "The traceback of the exception.",
        "memo": "The copies that were made so far, by object ID.",
        "argv": "The command line arguments.",
        "fn": "The function.",
        "func": "The function.",
        "fun": "The function.",
        "f": "The function or file.",
        "x": "The first value.",
        "y": "The second value.",
        "i": "The index.",
        "n": "The number.",
        "k": "The key.",
        "v": "The value.",
        "s": "The string.",
        "d": "The dictionary.",
        "e": "The event or error.",
    }
)
"""What parameters of these names are."""

RAISES: Mapping[str, str] = MappingProxyType(
    {
        "NotImplementedError": "If a subclass does not implement it.",
        "ValueError": "If a value is not valid.",
        "TypeError": "If an argument has the wrong type.",
        "KeyError": "If the key is not found.",
        "IndexError": "If the index is out of range.",
        "AttributeError": "If the attribute is missing.",
        "RuntimeError": "If the state does not allow it.",
        "OSError": "If the system reports an error.",
        "StopIteration": "If there are no more items.",
        "StopAsyncIteration": "If there are no more items.",
        "TimeoutError": "If it takes too long.",
        "ImportError": "If a module cannot be imported.",
        "FileNotFoundError": "If the file does not exist.",
        "PermissionError": "If access is denied.",
        "SystemExit": "If the program has to end.",
        "KeyboardInterrupt": "If the user interrupts.",
        "AssertionError": "If an assumption does not hold.",
        "ConnectionError": "If the connection fails.",
    }
)
"""When an exception is raised whose condition cannot be read from the code."""
