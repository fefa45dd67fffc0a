"""Fast paths: packing, trimming, fused kernels. They change the speed, never the result."""
