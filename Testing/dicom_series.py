"""DICOM files as tests need them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from teethseg.volume import Volume


def image(volume: Volume, **attributes) -> Dataset:
    """What all images of the tests have in common, and whatever else is given."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns = volume.array.shape[1:]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 1, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def write_series(folder: Path, volume: Volume, number: int = 1, description: str = "CBCT", **attributes) -> list[Path]:
    """One file a slice, named so that the names' order is not the slices'; returned in the order of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    series, names = generate_uid(), np.random.default_rng(number).permutation(len(volume.array))
    paths = []
    for k, plane in enumerate(volume.array):
        dataset = image(volume, SeriesInstanceUID=series, SeriesNumber=number, SeriesDescription=description)
        dataset.StudyInstanceUID = "1.2.3"
        dataset.PixelSpacing = [volume.spacing[1], volume.spacing[0]]
        dataset.ImageOrientationPatient = volume.direction[:, :2].T.ravel().tolist()
        dataset.ImagePositionPatient = (volume.affine @ [0, 0, k, 1])[:3].tolist()
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = plane.astype("<i2").tobytes()
        for name, value in attributes.items():
            setattr(dataset, name, value)
        paths.append(folder / f"{number}-{names[k]:03d}")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths
