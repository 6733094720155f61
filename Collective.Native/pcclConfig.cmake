# find_package(pccl) gives the imported target pccl, for programs written for PCCL.
if(NOT TARGET pccl)
    add_library(pccl SHARED IMPORTED GLOBAL)
    find_path(pccl_INCLUDE_DIR pccl.h PATHS "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_CURRENT_LIST_DIR}/../../../include" NO_DEFAULT_PATH REQUIRED)
    find_library(pccl_LIBRARY pccl PATHS "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_CURRENT_LIST_DIR}/../.." NO_DEFAULT_PATH REQUIRED)
    set_target_properties(pccl PROPERTIES
        IMPORTED_LOCATION "${pccl_LIBRARY}"
        IMPORTED_SONAME "libpccl.so"
        INTERFACE_INCLUDE_DIRECTORIES "${pccl_INCLUDE_DIR}")
    add_library(pccl::pccl ALIAS pccl)
endif()
