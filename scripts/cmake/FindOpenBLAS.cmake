# Defines OpenBLAS::OpenBLAS. Debian names the library after whichever of its pthread, OpenMP and
# serial variants the alternatives system points to, and installs no CMake file for it.
find_library(OpenBLAS_LIBRARY openblas)
find_path(OpenBLAS_INCLUDE_DIR openblas_config.h
          PATH_SUFFIXES openblas openblas-pthread openblas-openmp openblas-serial)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS REQUIRED_VARS OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)
if(OpenBLAS_FOUND AND NOT TARGET OpenBLAS::OpenBLAS)
  add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
  set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
    IMPORTED_LOCATION ${OpenBLAS_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OpenBLAS_INCLUDE_DIR})
endif()
