"""What stored machine code needs of numba's runtime, without numba: the memory of arrays that are made in a loop.

numba's code counts the users of such an array in the first word of a header, and reads from its fourth where the
elements are. It calls one function to get header and memory, and one to free both when nobody uses them.
"""

from __future__ import annotations

from typing import Any

from . import stored
from .calls import call, compiled_object
from .lazy import imported

MEMORY = ("NRT_MemInfo_alloc_aligned", "NRT_MemInfo_call_dtor")
"""numba's names of the two functions."""
OUTSIDE = frozenset({*MEMORY, "sched_yield", "sqrt", "sqrtf"})
"""What a stored loop may call: these two, and C's."""


def store(name: str, library: Any, symbol: str, note: str) -> None:
    """Keep a function that numba compiled, unless it calls what isn't known here.

    Args:
        name: What it is found by.
        library: numba's, which has the function.
        symbol: What it is called in there.
        note: What is to be known of it.
    """
    try:  # what numba says of its libraries is for itself
        module = library._get_module_for_linking().clone()
        code = library.codegen._tm.emit_object(module)
    except Exception:  # noqa: BLE001 (then it is compiled again next time)
        return
    outside = {each.name for each in (*module.functions, *module.global_variables) if each.is_declaration}
    if OUTSIDE.issuperset(each for each in outside if not each.startswith("llvm.")):
        if stored.load(stored.FIRST) is None:
            stored.save(stored.FIRST, compiled_object(_write_memory), MEMORY[0])
        stored.save(name, code, symbol, note)


def _write_memory(context: Any, module: Any) -> None:
    """Write the two functions."""
    ir = imported("llvmlite.ir")
    thing, word, index = ir.IntType(8).as_pointer(), ir.IntType(64), ir.IntType(32)
    # users, what frees it, its argument, where the elements are, their size, what allocated it
    header = ir.LiteralStructType([word, thing, thing, thing, word, thing])

    get = ir.Function(module, ir.FunctionType(thing, [word, index]), MEMORY[0])
    build = ir.IRBuilder(get.append_basic_block())
    size, align = get.args[0], build.zext(get.args[1], word)
    before = build.add(align, word(_HEADER_BYTES))
    room = call(build, "malloc", thing, build.add(size, before))
    with build.if_then(build.icmp_unsigned("==", room, thing(None)), likely=False):
        build.ret(room)
    beyond = build.add(build.ptrtoint(room, word), before)
    data = build.inttoptr(build.sub(beyond, build.urem(beyond, align)), thing)
    filled = header([1, None, None, None, 0, None])
    for i, value in ((3, data), (4, size)):
        filled = build.insert_value(filled, value, i)
    build.store(filled, build.bitcast(room, header.as_pointer()))
    build.ret(room)

    free = ir.Function(module, ir.FunctionType(ir.VoidType(), [thing]), MEMORY[1])
    build = ir.IRBuilder(free.append_basic_block())
    call(build, "free", ir.VoidType(), free.args[0])
    build.ret_void()


_HEADER_BYTES = 48
