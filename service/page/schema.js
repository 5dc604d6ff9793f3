// The API's own document, shown; nothing is asked of any other server.
SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
});
