"""The simulated scanner: from tissues to cone-beam CT, in PyTorch, for whole volumes and patches.

It simulates partial volume and blur, trabecular texture, metal artefacts, cupping, correlated noise, rings, motion, thick
slices, and the grey scale of the device, so grey values are no Hounsfield units. All random numbers are seeded.

References
----------
Takeya, Watanabe, Haga: networks for teeth from virtual cone-beam CT alone (Sci Rep 2024, doi 10.1038/s41598-024-63319-x).
Billot et al.: SynthSeg, free tissue means (MedIA 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from .tissues import ALVEOLAR_SHARE, MEAN_RANGE, Tissue


@dataclass(frozen=True)
class SimulatedScan:
    """image : float32 tensor (Z, Y, X), grey values of the device; soft, tooth : grey values of soft tissue and dentine."""

    image: torch.Tensor
    soft: float
    tooth: float


class Scanner:
    """A scanner with randomly drawn parameters; the same seed gives the same parameters."""

    def __init__(self, seed: int, artefact_level: float = 1.0, extra_artefacts: bool = False):
        """`artefact_level` from 0 to 1 scales noise, metal artefacts and blur; 0 is a clean scan.

        `extra_artefacts` adds two effects that caused missed teeth in real scans: grey levels that vary along the arch, and
        metal streaks through bone and teeth. Its random numbers are separate, so the other effects stay the same.
        """
        self._random = torch.Generator().manual_seed(seed)
        self._more = torch.Generator().manual_seed(seed + 1_000_003)
        self.artefact_level, self.extra_artefacts = artefact_level, extra_artefacts

    def _uniform(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self._random).item()

    def _further(self, low: float, high: float) -> float:
        """As `_uniform`, from a second generator: effects added later must not change the earlier random numbers."""
        return low + (high - low) * torch.rand((), generator=self._more).item()

    def _chance(self, share: float) -> bool:
        return self._uniform(0, 1) < share

    def _normal(self, shape, device) -> torch.Tensor:
        return torch.randn(shape, generator=self._random).to(device)

    def _smooth(self, shape, spacing: float, pitch: float, device) -> torch.Tensor:
        """Smooth noise of about unit variance with a correlation length of about `pitch` mm."""
        coarse = [max(2, math.ceil(n * spacing / pitch) + 1) for n in shape]
        lattice = self._normal((1, 1, *coarse), device)
        field = functional.interpolate(lattice, size=tuple(shape), mode="trilinear", align_corners=True)
        return field[0, 0] * 1.5

    def __call__(self, tissue: torch.Tensor, spacing: float) -> SimulatedScan:
        """Scan a head.

        Parameters
        ----------
        tissue : uint8 tensor, shape (Z, Y, X)
            Values of `Tissue` on an isotropic grid, z superior.
        spacing : float
            Voxel size in mm.
        """
        means = self.means()
        image = means.to(tissue.device)[tissue.long()]
        image = image + self._texture(tissue, spacing)
        sigma = self._uniform(0.12, 0.25 + 0.35 * self.artefact_level) / spacing
        image = blur(image, sigma)
        if self._chance(0.1 * self.artefact_level):
            image = self._motion(image, spacing)
        metal = tissue == Tissue.METAL
        if metal.any():
            dense = self.dense(tissue) if self.extra_artefacts and self._further(0, 1) < 0.6 else None
            image = image + self.artefact_level * self.metal_artefact(metal, spacing, dense)
        image = self._shading(image, spacing)
        if self.extra_artefacts and self._further(0, 1) < 0.4:
            image = self._uneven(image, means, spacing)
        image = image + self._noise(image, spacing)
        if self._chance(0.08 * self.artefact_level):
            image = image + self._rings(image.shape, image.device)
        scan = self._grey_scale(image, means)
        if self._chance(0.08 * self.artefact_level):
            scan = replace(scan, image=self._thick_slices(scan.image, spacing))
        return scan

    def means(self) -> torch.Tensor:
        """Draw the mean grey value of each tissue, by its label, before the grey scale of the device."""
        means = torch.tensor([self._uniform(*MEAN_RANGE[t]) if t in MEAN_RANGE else 0.0 for t in Tissue])
        if self._chance(0.25):  # free means; dentine and enamel stay brighter than cancellous bone
            muscle = means[Tissue.SOFT].item()
            bone = muscle + self._uniform(350, 1600)
            means[Tissue.CORTICAL] = bone
            means[Tissue.CANCELLOUS] = muscle + (bone - muscle) * self._uniform(0.05, 0.8)
            means[Tissue.DENTINE] = muscle + (bone - muscle) * self._uniform(0.85, 1.6)
            means[Tissue.ENAMEL] = means[Tissue.DENTINE] + self._uniform(150, 1500)
            means[Tissue.DENSE_BONE] = muscle + (bone - muscle) * self._uniform(0.9, 1.9)
            means[Tissue.PULP] = muscle + (bone - muscle) * self._uniform(-0.2, 0.4)
            means[Tissue.LIGAMENT] = muscle + (bone - muscle) * self._uniform(-0.2, 0.4)
        elif self._chance(0.25):  # sclerotic bone: jaws nearly as bright as roots
            means[Tissue.CANCELLOUS] = torch.minimum(means[Tissue.CORTICAL], means[Tissue.DENTINE]) * self._uniform(
                0.4, 0.8
            )
        soft, dentine = means[Tissue.SOFT], means[Tissue.DENTINE]
        means[Tissue.ALVEOLAR] = soft + (dentine - soft) * self._further(*ALVEOLAR_SHARE)
        return means

    def _texture(self, tissue: torch.Tensor, spacing: float) -> torch.Tensor:
        shape, device = tissue.shape, tissue.device
        fine = self._smooth(shape, spacing, max(self._uniform(0.6, 2.0), spacing), device)
        if self._chance(0.6):  # marrow spaces between bright trabeculae, not clouds
            fine = 1.3 - 2.2 * fine.abs()
        broad = self._smooth(shape, spacing, self._uniform(3, 14), device)
        small, large = torch.zeros(len(Tissue)), torch.zeros(len(Tissue))
        small[Tissue.CANCELLOUS], large[Tissue.CANCELLOUS] = self._uniform(30, 350), self._uniform(20, 400)
        small[Tissue.CORTICAL], large[Tissue.CORTICAL] = self._uniform(10, 110), self._uniform(10, 200)
        small[Tissue.ALVEOLAR], large[Tissue.ALVEOLAR] = self._further(10, 120), self._further(10, 120)
        for tissues, most in (((Tissue.SOFT, Tissue.FAT), 30), ((Tissue.DENTINE, Tissue.ENAMEL), 60)):
            for which in tissues:
                small[which], large[which] = self._uniform(5, most), self._uniform(5, most)
        here = tissue.long()
        return small.to(device)[here] * fine + large.to(device)[here] * broad

    def _motion(self, image: torch.Tensor, spacing: float) -> torch.Tensor:
        shift = [round(self._uniform(-0.8, 0.8) / spacing) for _ in range(3)]
        return 0.6 * image + 0.4 * torch.roll(image, shift, dims=(0, 1, 2))

    def dense(self, tissue: torch.Tensor) -> torch.Tensor:
        """Attenuation by bone and teeth relative to metal; float32, shape of `tissue`."""
        share = torch.zeros(len(Tissue))
        for which in (Tissue.CORTICAL, Tissue.DENTINE, Tissue.ALVEOLAR, Tissue.DENSE_BONE):
            share[which] = 0.06
        share[Tissue.ENAMEL], share[Tissue.CANCELLOUS], share[Tissue.RESTORATION] = 0.12, 0.02, 0.25
        return share.to(tissue.device)[tissue.long()] * self._further(0.5, 1.5)

    def _uneven(self, image: torch.Tensor, means: torch.Tensor, spacing: float) -> torch.Tensor:
        """Slowly varying gain: front teeth in thin jaws appear brighter than molars in thick jaws."""
        soft = means[Tissue.SOFT]
        coarse = [max(2, math.ceil(n * spacing / 35.0) + 1) for n in image.shape]
        lattice = torch.randn((1, 1, *coarse), generator=self._more).to(image.device)
        field = functional.interpolate(lattice, size=tuple(image.shape), mode="trilinear", align_corners=True)[0, 0]
        factor = (1 + self._further(0.05, 0.25) * field).clamp(0.6, 1.5)
        return torch.where(image > soft, soft + (image - soft) * factor, image)

    def metal_artefact(self, metal: torch.Tensor, spacing: float, dense: torch.Tensor | None = None) -> torch.Tensor:
        """Metal artefacts: filtered back-projection of the errors of line integrals by beam hardening and photon starvation.

        With `dense`, the line integrals are those of metal, teeth and bone, minus the errors without metal, which devices
        correct: so bands run between crowns and through the jaw.
        """
        step = max(1, round(1.0 / spacing))
        thin = functional.avg_pool3d(metal[None, None].float(), (1, step, step), ceil_mode=True)[0]  # (1, Z, Y', X')
        rows = torch.nonzero(thin[0].amax(dim=(1, 2)) > 0)[:, 0]
        slices = thin[:, rows]
        if dense is not None:
            slices = torch.cat(
                [slices, functional.avg_pool3d(dense[None, None], (1, step, step), ceil_mode=True)[0][:, rows]]
            )
        pixel, size = spacing * step, slices.shape[-2:]
        side = math.ceil(math.hypot(*size))
        pad = [(side - size[1]) // 2, side - size[1] - (side - size[1]) // 2]
        pad += [(side - size[0]) // 2, side - size[0] - (side - size[0]) // 2]
        square = functional.pad(slices, pad)
        views = int(self._uniform(28, 72))
        if dense is not None:
            views = int(1.5 * views)
        start = self._uniform(0, math.pi)
        hardening, starvation = self._uniform(0.05, 0.35), self._uniform(0.0, 0.5)
        ramp = torch.fft.rfftfreq(side, device=metal.device)
        ramp = ramp * torch.cos(math.pi * ramp * self._uniform(0.6, 1.0))
        result = torch.zeros_like(square[:1])
        for view in range(views):
            angle = start + math.pi * view / views
            turned = _turn(square, angle)
            paths = turned.sum(dim=2) * pixel  # (1 or 2, slices, side)
            path = paths[:1]
            missing = (1 - torch.exp(-hardening * path)) / hardening - path
            if dense is not None:
                both, bone = path + paths[1:], paths[1:]
                missing = (torch.exp(-hardening * bone) - torch.exp(-hardening * both)) / hardening - path
            missing = missing + starvation * path * self._normal(path.shape, path.device)
            filtered = torch.fft.irfft(torch.fft.rfft(missing) * ramp, n=side)
            result += _turn(filtered[:, :, None, :].expand_as(result), -angle)
        result = result * (math.pi / views) / pixel * 2.0
        result = result[:, :, pad[2] : side - pad[3] or None, pad[0] : side - pad[1] or None]
        wide = functional.interpolate(result, size=metal.shape[1:], mode="bilinear", align_corners=False)[0]
        artefact = torch.zeros(metal.shape, device=metal.device)
        artefact[rows] = wide * self._uniform(600, 3500)
        artefact = artefact.clamp(-1800, 2500)
        bloom = blur(metal.float(), self._uniform(0.3, 0.8) / spacing) * self._uniform(0, 2500)
        return artefact + bloom

    def _shading(self, image: torch.Tensor, spacing: float) -> torch.Tensor:
        bias = self._smooth(image.shape, spacing, 60.0, image.device)
        image = image * (1 + 0.05 * self.artefact_level * self._uniform(0, 1) * bias)
        y, x = (torch.linspace(-1, 1, n, device=image.device) for n in image.shape[1:])
        radius = y[:, None] ** 2 + x[None] ** 2
        return image + self._uniform(-60, 160) * self.artefact_level * radius[None]

    def _noise(self, image: torch.Tensor, spacing: float) -> torch.Tensor:
        # Larger voxels average more noise.
        strength = math.exp(self._uniform(math.log(12), math.log(30 + 200 * self.artefact_level))) * min(
            1.0, 0.6 / spacing
        )
        noise = self._normal(image.shape, image.device)
        width = self._uniform(0.0, 1.1)
        if width > 0.3:
            noise = blur(noise, width)
            noise = noise / noise.std()
        return strength * noise

    def _rings(self, shape, device) -> torch.Tensor:
        centre = [self._uniform(0.2, 0.8) * n for n in shape[1:]]
        y, x = (torch.arange(n, device=device) - c for n, c in zip(shape[1:], centre, strict=True))
        radius = torch.sqrt(y[:, None] ** 2 + x[None] ** 2)
        profile = self._normal((sum(shape[1:]) + 2,), device) * self._uniform(10, 70)
        return profile[radius.round().long()][None].expand(shape)

    def _thick_slices(self, image: torch.Tensor, spacing: float) -> torch.Tensor:
        """Axial slices of 0.8 to 3 mm, as of a conventional CT, resampled to the voxels of the scan."""
        count = max(2, round(image.shape[0] * spacing / self._uniform(0.8, 3.0)))
        if count >= image.shape[0]:
            return image
        stack = image.movedim(0, -1).reshape(1, -1, image.shape[0])
        stack = functional.interpolate(functional.adaptive_avg_pool1d(stack, count), image.shape[0], mode="linear")
        return stack.reshape(*image.shape[1:], -1).movedim(-1, 0).contiguous()

    def _grey_scale(self, image: torch.Tensor, means: torch.Tensor) -> SimulatedScan:
        """Gain, offset, gamma, clipping and number of grey values of the device; 8-bit at times."""
        top = self._uniform(2500, 4000) if self._chance(0.5) else 9000.0
        gain, offset = self._uniform(0.6, 1.5), self._uniform(-400, 400)
        gamma = self._uniform(0.85, 1.2)

        def device(values: torch.Tensor) -> torch.Tensor:
            above_air = (values.clamp(max=top) + 1000).clamp(min=0) / 3000
            return above_air**gamma * 3000 * gain - 1000 + offset

        grey, levels = device(image), device(means)
        soft, tooth = levels[Tissue.SOFT].item(), levels[Tissue.DENTINE].item()
        if self._chance(0.15):
            low, high = (
                levels[Tissue.AIR].item(),
                max(levels[Tissue.ENAMEL].item(), tooth + 1) * self._uniform(1.0, 1.3),
            )
            scale = 255.0 / (high - low)
            grey = ((grey - low) * scale).round().clamp(0, 255)
            soft, tooth = (soft - low) * scale, (tooth - low) * scale
        return SimulatedScan(grey, soft, tooth)


def blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of a (Z, Y, X) tensor, `sigma` in voxels, edges repeated."""
    if sigma < 0.2:
        return image
    reach = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(3):
        shape, padding = [1, 1, 1, 1, 1], [0] * 6
        shape[2 + axis] = -1
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = reach
        padded = functional.pad(image[None, None], padding, mode="replicate")
        image = functional.conv3d(padded, kernel.view(shape))[0, 0]
    return image


def _turn(slices: torch.Tensor, angle: float) -> torch.Tensor:
    """Rotate stacks (K, N, S, S) of square slices about their centre."""
    cosine, sine = math.cos(angle), math.sin(angle)
    theta = torch.tensor([[[cosine, -sine, 0.0], [sine, cosine, 0.0]]], device=slices.device)
    grid = functional.affine_grid(theta, [1, 1, *slices.shape[2:]], align_corners=False).expand(len(slices), -1, -1, -1)
    return functional.grid_sample(slices, grid, align_corners=False)
