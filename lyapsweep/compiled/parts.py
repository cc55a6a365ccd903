"""How numba compiles functions that only compiled functions call.

By itself it optimises every function and makes machine code of it, although each caller links, optimises and compiles
all that it calls anew. That takes a third of the time of compiling.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class PartLibrary(JITCodeLibrary):
    """A library that is linked into those of its callers and has no machine code of its own."""

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no address."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> "PartLibrary":
        """What numba asks for to set the environment of a Python wrapper, which there is not."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        pass


class PartCompiler(Compiler):
    """The `pipeline_class` of functions that only compiled functions call."""

    def define_pipelines(self) -> list:
        state = self.state
        if state.library is None:
            state.library = PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().define_pipelines()
