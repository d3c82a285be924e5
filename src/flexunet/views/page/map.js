"use strict";
(function () {
  const content = JSON.parse(document.getElementById("content").textContent);
  const [height, width] = content.size;
  const [a, b, c, d, e, f] = content.transform;

  // One map unit is one pixel of the scene; rows count downwards, so latitude is minus the row.
  const bounds = L.latLngBounds([-height, 0], [0, width]);
  const map = L.map("map", {
    crs: L.CRS.Simple, preferCanvas: true, zoomSnap: 0.25, minZoom: -12, maxZoom: 6, zoomControl: true,
  });
  map.attributionControl.setPrefix("Leaflet");
  map.fitBounds(bounds);
  map.setMinZoom(map.getZoom() - 1);
  map.setMaxBounds(bounds.pad(0.5));

  const scene = L.imageOverlay(content.scene, bounds, { className: "scene" }).addTo(map);
  const classes = L.imageOverlay(content.mask, bounds, { className: "classes", opacity: 0.5 }).addTo(map);
  const showPixels = () =>
    map.getContainer().classList.toggle("close", Math.pow(2, map.getZoom()) * content.step >= 2);
  map.on("zoomend", showPixels);
  showPixels();

  function element(tag, className, text, parent) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    if (parent) parent.appendChild(made);
    return made;
  }

  // ---- polygons
  const colourOf = (index) => (index === null ? "#ffffff" : content.classes[index].colour);
  function corners(flat) {
    const ring = [];
    for (let i = 0; i < flat.length; i += 2) ring.push([-flat[i + 1], flat[i]]);
    return ring;
  }
  function attributes(feature) {
    const box = document.createElement("div");
    const heading = element("h3", "", undefined, box);
    element("i", "", undefined, heading).style.background = colourOf(feature.c);
    element("span", "", feature.c === null ? "polygon" : content.classes[feature.c].name, heading);
    const table = element("table", "", undefined, box);
    content.keys.forEach((key, index) => {
      const value = feature.p[index];
      if (value === null || value === undefined) return;
      const row = element("tr", "", undefined, table);
      element("td", "", key, row);
      element("td", "", typeof value === "number" ? readable(value) : String(value), row);
    });
    return box;
  }
  function readable(value) {
    if (Number.isInteger(value)) return value.toLocaleString("en");
    const size = Math.abs(value);
    if (size >= 1e9 || size < 1e-4) return value.toExponential(3);
    return value.toLocaleString("en", { maximumFractionDigits: size >= 100 ? 1 : size >= 1 ? 2 : 4 });
  }
  const polygons = L.layerGroup();
  content.polygons.forEach((feature) => {
    const shape = L.polygon(feature.r.map((part) => part.map(corners)), {
      color: colourOf(feature.c), weight: 1.6, opacity: 1, fillOpacity: 0.04, smoothFactor: 0.6,
    });
    shape.bindPopup(() => attributes(feature), { maxWidth: 340 });
    shape.on("popupopen", () => shape.setStyle({ weight: 4, fillOpacity: 0.25 }));
    shape.on("popupclose", () => shape.setStyle({ weight: 1.6, fillOpacity: 0.04 }));
    polygons.addLayer(shape);
  });
  polygons.addTo(map);

  // ---- the panel: layers, opacity, legend, notes
  const panel = document.getElementById("panel");
  L.DomEvent.disableClickPropagation(panel);
  L.DomEvent.disableScrollPropagation(panel);
  element("h1", "", content.title, panel);
  element("h2", "", "Layers", panel);
  function toggle(id, text, layer) {
    const label = element("label", "", undefined, panel);
    const box = element("input", "", undefined, label);
    box.type = "checkbox";
    box.id = id;
    box.checked = true;
    element("span", "", text, label);
    box.addEventListener("change", () => (box.checked ? layer.addTo(map) : layer.remove()));
  }
  function slider(id, layer, start) {
    const label = element("label", "slider", undefined, panel);
    const text = element("span", "", undefined, label);
    const range = element("input", "", undefined, label);
    Object.assign(range, { type: "range", id: id, min: 0, max: 100, value: start });
    const apply = () => {
      layer.setOpacity(range.value / 100);
      text.textContent = "opacity " + range.value + " %";
    };
    range.addEventListener("input", apply);
    apply();
  }
  toggle("show-scene", "Scene", scene);
  toggle("show-classes", "Classes", classes);
  slider("opacity", classes, 50);
  if (content.polygons.length) {
    toggle("show-polygons", "Polygons (" + content.polygons.length.toLocaleString("en") + ")", polygons);
  }
  element("h2", "", "Classes", panel);
  content.classes.forEach((item) => {
    const row = element("div", "row", undefined, panel);
    element("span", "swatch", undefined, row).style.background = item.shown ? item.colour : "transparent";
    element("span", "name", item.name, row);
    element("span", "share", item.share, row);
  });
  content.notes.forEach((note) => element("p", "", note, panel));

  // ---- where the cursor is
  const position = document.getElementById("position");
  function lonlat(row, col) {
    const mesh = content.lonlat;
    const last = mesh.length - 1;
    const v = Math.min(Math.max((row / height) * last, 0), last);
    const u = Math.min(Math.max((col / width) * last, 0), last);
    const i = Math.min(Math.floor(v), last - 1);
    const j = Math.min(Math.floor(u), last - 1);
    const [s, t] = [v - i, u - j];
    return [0, 1].map((k) =>
      (1 - s) * ((1 - t) * mesh[i][j][k] + t * mesh[i][j + 1][k]) +
      s * ((1 - t) * mesh[i + 1][j][k] + t * mesh[i + 1][j + 1][k]));
  }
  function show(event) {
    const [row, col] = [-event.latlng.lat, event.latlng.lng];
    if (row < 0 || col < 0 || row >= height || col >= width) {
      position.textContent = content.where;
      return;
    }
    const parts = ["row " + Math.floor(row) + ", column " + Math.floor(col)];
    if (content.georeferenced) {
      const [x, y] = [a * col + b * row + c, d * col + e * row + f];
      parts.unshift("x " + x.toFixed(content.decimals) + ", y " + y.toFixed(content.decimals));
    }
    if (content.lonlat) {
      const [longitude, latitude] = lonlat(row, col);
      parts.push(latitude.toFixed(6) + "°, " + longitude.toFixed(6) + "°");
    }
    position.textContent = parts.join("  ·  ");
  }
  map.on("mousemove", show);
  map.on("mouseout", () => (position.textContent = content.where));
  position.textContent = content.where;

  // ---- scale bar
  const Scale = L.Control.extend({
    options: { position: "bottomleft" },
    onAdd() {
      this.bar = L.DomUtil.create("div", "scale");
      map.on("zoomend moveend", this.update, this);
      this.update();
      return this.bar;
    },
    update() {
      const unit = content.metres || 1;
      const perScreen = unit / Math.pow(2, map.getZoom());
      const power = Math.pow(10, Math.floor(Math.log10(perScreen * 140)));
      const length = [5, 2, 1].map((n) => n * power).find((n) => n <= perScreen * 140);
      this.bar.style.width = length / perScreen + "px";
      const [value, name] = !content.metres ? [length, "px"]
        : length >= 1000 ? [length / 1000, "km"] : length >= 1 ? [length, "m"] : [length * 100, "cm"];
      this.bar.textContent = +value.toPrecision(6) + " " + name;
    },
  });
  map.addControl(new Scale());
})();
