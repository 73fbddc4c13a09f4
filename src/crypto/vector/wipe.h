#pragma once

/*
 * Overwrites the vector registers and the part of the stack below the caller, where the kernel that
 * it called has left tables and spilled values: HBK_VECTOR_WIPE_BYTES of it. No elliptic-curve
 * kernel uses more (the build checks the frames); the RSA kernels wipe their own, larger, buffers.
 */
enum { HBK_VECTOR_WIPE_BYTES = 32 * 1024 };

void hbk_vector_wipe(void);
