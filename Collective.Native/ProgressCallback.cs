namespace Collective.Native;

/// <summary>Tells C how far a sync is.</summary>
internal sealed unsafe class ProgressCallback(nint callback, nint context) : IProgress<SharedStateProgress>
{
    public static ProgressCallback? From(SyncOptions options) => options.Progress == 0 ? null : new ProgressCallback(options.Progress, options.Context);

    public void Report(SharedStateProgress value)
    {
        var ids = new SixteenBytes[value.Donors.Count];
        fixed (SixteenBytes* donors = ids) // null for none
        {
            Reports.Ids(value.Donors, (nint)donors, (nuint)ids.Length);
            var progress = new SyncProgress
            {
                StructSize = (nuint)sizeof(SyncProgress),
                BytesDone = (ulong)value.BytesDone,
                BytesTotal = (ulong)value.BytesTotal,
                Donors = (nint)donors,
                DonorCount = (nuint)ids.Length,
            };
            ((delegate* unmanaged[Cdecl]<SyncProgress*, nint, void>)callback)(&progress, context);
        }
    }
}
