// Shows openapi.json, and keeps the token of whoever logs in on the page: the closed routes can be tried at once.
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  requestSnippetsEnabled: true,
  // Nothing of this page is anybody else's business.
  validatorUrl: null,
  responseInterceptor(response) {
    if (response.status === 200 && /\/auth\/(login|refresh)$/.test(response.url)) {
      ui.preauthorizeApiKey("token", JSON.parse(response.text).access_token);
    }
    return response;
  },
});
