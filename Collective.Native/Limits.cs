namespace Collective.Native;

/// <summary>Every limit of the C interface. Those of the protocol are the library's, and repeated here only where a complaint names them.</summary>
internal static class Limits
{
    /// <summary>Smallest piece of a tensor that a master accepts; the same as that of <see cref="MasterOptions.SegmentBytes"/>.</summary>
    public const int SegmentBytesMin = 64;

    /// <summary>Largest piece of a tensor that a master accepts.</summary>
    public const int SegmentBytesMax = 4 * 1024 * 1024;

    /// <summary>Bytes of the last error's text that a thread keeps; longer ones are cut.</summary>
    public const int ErrorTextBytesMax = 2048;

    /// <summary>Connections of a link, as in the library.</summary>
    public const int StripesMax = 64;

    /// <summary>Peers of a run, as in the library.</summary>
    public const int PeersMax = 1024;

    /// <summary>All-reduces that one communicator may have in flight, as in the library.</summary>
    public const int InFlightMax = 256;

    /// <summary>Tensors of one set, as in the library.</summary>
    public const int TensorsOfSetMax = 8_192;
}
