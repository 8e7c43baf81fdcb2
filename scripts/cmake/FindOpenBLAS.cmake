# Sets OpenBLAS_LIBRARY: the library that tensor/blas.cpp opens while the program runs. Debian names
# it after whichever of its pthread, OpenMP and serial variants the alternatives system points to,
# and installs no CMake file for it.
find_library(OpenBLAS_LIBRARY openblas)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS REQUIRED_VARS OpenBLAS_LIBRARY)
