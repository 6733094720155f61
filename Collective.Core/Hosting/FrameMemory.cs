using Collective.Protocol;

namespace Collective.Hosting;

/// <summary>
/// What the master's connections may hold of frames that have not come whole. A large frame begins only when there is room for all of it, so that every frame that has begun can end;
/// it takes memory as it comes.
/// </summary>
internal sealed class FrameMemory
{
    private readonly Stack<byte[]> _free = new();
    private byte[] _whole = [];
    private long _reserved;

    /// <summary>Whether a frame of this size may begin.</summary>
    public bool TryReserve(int bytes)
    {
        if (_reserved + bytes > Limits.UnfinishedFrameBytesMax)
        {
            return false;
        }

        _reserved += bytes;
        return true;
    }

    public void Release(int bytes) => _reserved -= bytes;

    public byte[] Rent() => _free.TryPop(out var piece) ? piece : GC.AllocateUninitializedArray<byte>(Limits.FramePieceBytes);

    public void Return(byte[] piece)
    {
        if (_free.Count < Limits.KeptFrameBytesMax / Limits.FramePieceBytes)
        {
            _free.Push(piece);
        }
    }

    /// <summary>Room for one whole frame, until the next call.</summary>
    public Span<byte> Whole(int bytes)
    {
        if (_whole.Length < bytes)
        {
            _whole = GC.AllocateUninitializedArray<byte>(bytes);
        }

        return _whole.AsSpan(0, bytes);
    }

    /// <summary>Lets go of what it does not need all the time.</summary>
    public void Trim()
    {
        if (_whole.Length > Limits.KeptFrameBytesMax)
        {
            _whole = [];
        }
    }
}
