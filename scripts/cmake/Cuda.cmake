# Resolves NF_CUDA and defines nf_cuda_backend(target), which adds tensor/cuda, or its stub.
if(NOT NF_CUDA MATCHES "^(ON|OFF|AUTO)$")
  message(FATAL_ERROR "NF_CUDA is '${NF_CUDA}': use ON, OFF or AUTO")
endif()
if(NF_CUDA AND NF_SANITIZE)
  if(NF_CUDA STREQUAL ON)
    message(FATAL_ERROR "NF_CUDA=ON does not go together with NF_SANITIZE=ON: the tests of the "
                        "kernels run under the sanitizers without CUDA; use NF_CUDA=OFF")
  endif()
  set(NF_CUDA OFF)
endif()

if(NF_CUDA)
  set(CMAKE_CUDA_ARCHITECTURES ${NF_CUDA_ARCHITECTURES})
  if(NOT NF_CUDA_ARCHITECTURES)
    # An nvcc that is asked for a GPU it does not know would be taken for one that does not work.
    find_program(NF_NVCC NAMES $ENV{CUDACXX} nvcc)
    mark_as_advanced(NF_NVCC)
    if(NF_NVCC)
      execute_process(COMMAND ${NF_NVCC} --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
    if(known MATCHES "compute_100")  # since CUDA 12.8
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
    endif()
  endif()
  set(CMAKE_CUDA_FLAGS_RELEASE "-O2")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    endif()
    find_package(CUDAToolkit REQUIRED)
    set(NF_CUDA ON)
  elseif(NF_CUDA STREQUAL ON)
    message(FATAL_ERROR "NF_CUDA=ON, but there is no nvcc that works with ${CMAKE_CXX_COMPILER}: "
                        "put CUDA 12.4 or newer on the PATH (or set CUDACXX), or use NF_CUDA=OFF")
  else()
    set(NF_CUDA OFF)
  endif()
endif()
message(STATUS "CUDA backend: ${NF_CUDA}")

function(nf_cuda_backend target)
  if(NOT NF_CUDA)
    target_sources(${target} PRIVATE tensor/cuda/stub.cpp)
    # In an object of its own: where the emulator is linked, the stub must not come along.
    set_source_files_properties(tensor/cuda/stub.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS tensor/cuda/*.cpp tensor/cuda/*.cu)
  list(FILTER sources EXCLUDE REGEX stub.cpp)
  target_sources(${target} PRIVATE ${sources})
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON
                        CUDA_EXTENSIONS OFF CUDA_RUNTIME_LIBRARY None)  # that is linked by name
  target_link_libraries(${target} PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
  # cuBLASLt is loaded when it is first needed, by name or from here.
  target_compile_definitions(${target} PRIVATE NF_CUDA_LIBRARY_DIR="${CUDAToolkit_LIBRARY_DIR}")
  # 445: of a lambda's conversion to a function pointer that nobody asks for.
  set(warnings -diag-suppress=445 -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas)
  if(NF_WERROR)
    list(APPEND warnings -Werror=all-warnings -Xcompiler=-Werror)
  endif()
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;${warnings}>")
endfunction()
