"use strict";

// No validator: it would send the document to another server. No deep links: they are links inside buttons.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
