// Builds the node before the files of tests, which run side by side, would each build it into the same place.
import { build } from './node.mjs';

await build();
