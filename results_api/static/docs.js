"use strict";

// No validator: it would send the document to a server outside. No deep links: they are links inside buttons.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
