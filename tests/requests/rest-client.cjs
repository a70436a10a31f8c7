// For httpyac: what the REST Client of Visual Studio Code finds in the answers to named requests.

module.exports = {
  configureHooks(api) {
    const answers = new Map();
    api.hooks.onResponse.addHook("keepAnswers", (response, { httpRegion }) => {
      answers.set(httpRegion.metaData.name, response);
    });
    const found = (name, path, header) => {
      const { body, headers } = answers.get(name);
      if (header) return headers[header.toLowerCase()];
      return path.split(/[.[\]]+/).filter(Boolean).reduce((value, key) => value[key], JSON.parse(body));
    };
    const expression = /\{\{(\w+)\.response\.(?:body\.\$\.(.+?)|headers\.(.+?))\}\}/g;
    const replace = (text) => (typeof text === "string" ? text.replace(expression, (_, ...parts) => found(...parts)) : text);
    // Before those that take it for JavaScript.
    api.hooks.replaceVariable.addHook("restClient", replace, { before: ["showInputBox"] });
  },
};
