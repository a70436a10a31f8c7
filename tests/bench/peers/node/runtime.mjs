// Lambda's Runtime API for a handler in JavaScript, in the least that it takes: what AWS's own runtime does besides is left out.
import http from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const invocation = "/2018-06-01/runtime/invocation/";

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body ? { "content-type": "application/json", "content-length": Buffer.byteLength(body) } : {};
    const request = http.request({ host, port, agent, method, path, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve([response.headers, Buffer.concat(chunks).toString()]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

export async function serve(handler) {
  for (;;) {
    const [headers, event] = await call("GET", `${invocation}next`);
    const id = headers["lambda-runtime-aws-request-id"];
    await call("POST", `${invocation}${id}/response`, JSON.stringify(await handler(JSON.parse(event))));
  }
}
