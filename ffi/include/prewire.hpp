/* Prewire for C++17. */
#ifndef PREWIRE_HPP
#define PREWIRE_HPP

#include "prewire.h"

#endif
