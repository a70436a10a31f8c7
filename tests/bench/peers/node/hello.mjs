// The least that a function in JavaScript can be.
import { serve } from "./runtime.mjs";

await serve(async () => ({ statusCode: 200, body: '{"message":"hello"}' }));
